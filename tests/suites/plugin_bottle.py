"""pytest plugin: Bottle's tests that call an application do it through the server."""

from __future__ import annotations

import io
from typing import Any

import pytest
from test import tools

import report
from wsgi_client import Client

client = Client()


def urlopen(case: tools.ServerTestBase, path: str, method: str = "GET", post: str = "", env: Any = None) -> dict[str, Any]:
    """In the place of ServerTestBase's, with its arguments and its result."""
    environ = dict(env or {}) | {"REQUEST_METHOD": method.upper().strip(), "PATH_INFO": tools.wsgistr(path), "QUERY_STRING": ""}
    if post:
        body = post.encode()
        environ |= {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    response = client.call(case.wsgiapp, environ)
    header: dict[str, str] = {}
    for name, value in response.headers:
        header[name.title()] = f"{header[name.title()]}, {value}" if name.title() in header else value
    code, _, status = response.status.partition(" ")
    return {"code": int(code), "status": status, "header": header, "body": b"".join(response)}


tools.ServerTestBase.urlopen = urlopen


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(report.Report(lambda: client.way.live.requests))


def pytest_runtest_teardown() -> None:
    client.end()


def pytest_unconfigure() -> None:
    client.way.stop()
