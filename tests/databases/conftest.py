"""Real databases: one PostgreSQL and one Redis for all tests here.

Environment:
CI                  `true`: a missing package is a failure, not a skip
"""

import os
from collections.abc import Callable, Iterator

import pytest

from engines import BINARIES, REDIS, Postgres, Redis


def _needs(there: object, package: str) -> None:
    if not there:
        missing = f"needs the package {package} (apt-get install {package})"
        pytest.fail(missing, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(missing)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    _needs(BINARIES, "postgresql")
    made = Postgres()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    _needs(REDIS, "redis-server")
    _needs(BINARIES, "postgresql")  # whose user it runs as
    made = Redis()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Callable[[], str]:
    """Makes an empty database and gives its name."""
    names = (f"board{n}" for n in range(1000))
    return lambda: postgres.create(next(names))
