"""The server of tests/http: one for most of them, since they also prove that no connection disturbs another."""

from pathlib import Path

import pytest

from harness import Server, StartServer

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server("app:app", HERE, "--no-access-log")
