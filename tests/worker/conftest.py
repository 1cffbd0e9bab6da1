"""Fixtures: worker processes, on every event loop that is installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fakeserver import Worker

LOOPS = [
    "asyncio",
    pytest.param("uvloop", marks=pytest.mark.skipif(not importlib.util.find_spec("uvloop"), reason="no uvloop")),
]


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    """Each event loop in turn."""
    return str(request.param)


@pytest.fixture
def start() -> Iterator[Callable[..., Worker]]:
    """Start workers; they are killed after the test."""
    workers: list[Worker] = []

    def start(target: str, **setup: Any) -> Worker:
        workers.append(Worker(target, **setup))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


@pytest.fixture
def asgi(start: Callable[..., Worker], loop: str) -> Worker:
    """A ready worker that runs ``apps/asgi.py`` on each event loop."""
    return start("asgi:app", loop=loop).ready()


@pytest.fixture(params=[1, 4])
def wsgi(start: Callable[..., Worker], request: pytest.FixtureRequest) -> Worker:
    """A ready worker that runs ``apps/wsgi.py``, on one thread and on four."""
    return start("wsgi:app", threads=request.param).ready()
