"""pytest plugin: Starlette's test client, which FastAPI's tests use too, goes through the server."""

import pytest
from starlette import testclient

import report
from client import Transport

testclient._TestClientTransport = Transport


def requests() -> int:
    return Transport.live.requests


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(report.Report(requests))


def pytest_unconfigure() -> None:
    Transport.wire.close()
    Transport.live.stop()
