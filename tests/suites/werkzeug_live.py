"""The server under test in the place of Werkzeug's development server, for the tests that start one.

`application` is what the worker runs: the one of the suite's `live_apps` that a test has named, as their `run.py` wraps it.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from harness import serve

NAME = "WERKZEUG_LIVE_APP"
HERE = Path(__file__).resolve().parent

requests = 0


@Request.application
def application(request: Request) -> Response:
    if request.path == "/ensure":
        return Response()
    return Response.from_app(import_module(f"{os.environ[NAME]}_app").app, request.environ)


class NotServed(Exception):
    """What the server does not do."""


def start(client: Any) -> Any:
    """In the place of `DevServerClient.__enter__`."""
    options = dict(client._server_kwargs)
    threads = ["--threads", "2" if options.pop("threaded", False) else "1"]
    host = options.pop("hostname", "127.0.0.1")
    port = options.pop("port", None)
    address = host.replace("unix://", "unix:") if port is None else f"{host}:{port}"
    arguments = ["--bind", address, *threads, *(["--reload"] if options.pop("use_reloader", False) else [])]
    if options:
        raise NotServed(", ".join(options))
    apps = Path.cwd() / "tests" / "live_apps"
    env = {NAME: client._app_name, "PYTHONPATH": os.pathsep.join(map(str, (client._tmp_path, apps, HERE, HERE.parent)))}
    client.stack = ExitStack()
    client.server = client.stack.enter_context(serve("werkzeug_live:application", HERE, *arguments, env=env))
    return client


def stop(client: Any, *_: object) -> None:
    client.stack.close()


def counted(connect: Any) -> Any:
    def count(client: Any, **options: Any) -> Any:
        global requests
        requests += 1
        return connect(client, **options)

    return count


def install(client: Any) -> None:
    """Replaces what a `DevServerClient` starts."""
    client.__enter__, client.__exit__ = start, stop
    client.connect = counted(client.connect)
    client.read_log = lambda client: client.server.output()
