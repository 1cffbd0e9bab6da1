"""pytest plugin: httpx's `server` is the server under test, with the application of httpx's own conftest.

Only tests that use it are run. They name port 8000, so it must be free.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpcore
import httpx
import pytest

import report
from harness import serve

sent = 0


def count(handle: Any) -> Any:
    def counted(pool: Any, request: Any) -> Any:
        global sent
        sent += 1
        return handle(pool, request)

    return counted


httpcore.ConnectionPool.handle_request = count(httpcore.ConnectionPool.handle_request)
httpcore.AsyncConnectionPool.handle_async_request = count(httpcore.AsyncConnectionPool.handle_async_request)


def serve_in_thread(_: object) -> Iterator[SimpleNamespace]:
    """In the place of the function in conftest, which starts uvicorn."""
    address = ["--port", "8000"]
    with serve("tests.conftest:app", Path.cwd(), *address, "--lifespan", "off", env={}) as server:
        yield SimpleNamespace(url=httpx.URL(server.url + "/"))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(report.Report(lambda: sent))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    sys.modules["tests.conftest"].serve_in_thread = serve_in_thread
    others = [item for item in items if "server" not in item.fixturenames]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]
