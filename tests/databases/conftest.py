"""Databases from Debian. Environment: CI=true makes one that is missing a failure, not a skip."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from engines import POSTGRES, REDIS, Engine, PostgreSQL, Redis
from harness import StartServer, serve


def _needs(found: object, package: str) -> None:
    if not found:
        missing = f"needs the package {package} (apt-get install {package})"
        pytest.fail(missing, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(missing)


def _running(engine: Engine) -> Iterator[Engine]:
    try:
        engine.start()
        yield engine
    finally:
        engine.remove()


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Engine]:
    _needs(POSTGRES, "postgresql")
    yield from _running(PostgreSQL())


@pytest.fixture(scope="module")
def redis() -> Iterator[Engine]:
    _needs(REDIS, "redis-server")
    yield from _running(Redis())


@pytest.fixture
def start_one() -> Iterator[StartServer]:
    """As `start_server`, for the length of a test: connections are counted."""
    with ExitStack() as servers:
        yield lambda target, app_dir, *options, **env: servers.enter_context(serve(target, app_dir, *options, env=env))
