"""pytest plugin: Werkzeug's test client, which Flask's tests use too, and its live server, go through the server."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from _pytest import monkeypatch
from werkzeug import test
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request

import report
import werkzeug_live
from wsgi_client import Application, Client, Environ

client = Client()


def run_wsgi_app(app: Application, environ: Environ, buffered: bool = False) -> tuple[Iterable[bytes], str, Headers]:
    response = client.call(app, test._get_environ(environ))
    items = list(response) if buffered else response
    return items, response.status, Headers(response.headers)


def create_environ(*arguments: Any, **options: Any) -> Environ:
    return client.served(make_environ(*arguments, **options))


def from_values(cls: type[Request], *arguments: Any, **options: Any) -> Request:
    return cls(create_environ(*arguments, **options))


make_environ = test.create_environ
test.run_wsgi_app, test.create_environ = run_wsgi_app, create_environ
Request.from_values = classmethod(from_values)
if not hasattr(monkeypatch, "notset"):  # its name in the pytest that Flask's conftest.py was written for
    monkeypatch.notset = monkeypatch.NOTSET


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(report.Report(lambda: client.way.live.requests + werkzeug_live.requests))


def pytest_collection_modifyitems() -> None:
    if server := getattr(sys.modules.get("conftest"), "DevServerClient", None):
        werkzeug_live.install(server)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[Any]:
    client.end()
    return (yield)


def pytest_unconfigure() -> None:
    client.way.stop()
