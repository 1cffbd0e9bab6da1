"""The server under test, for the length of a suite's run."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from harness import Server, serve

HERE = Path(__file__).resolve().parent
THREADS = 8  # of the WSGI bridge: views ask the server that runs them


class Live:
    """A server that runs an application of `bridge`; it starts when it is first needed. `requests` counts what it was sent."""

    def __init__(self, application: str, *options: str) -> None:
        self.requests = 0
        self._target = f"bridge:{application}"
        quiet = ["--no-date-header", "--no-server-header", "--no-access-log"]
        if application == "asgi":
            self._options = [*quiet, "--lifespan", "off", *options]
        else:
            threads = [] if "--threads" in options else ["--threads", str(THREADS)]
            self._options = [*([] if peer() else quiet), *threads, *options]
        self._stack = ExitStack()

    @cached_property
    def socket(self) -> str:
        """Where the bridge looks for a live server; `.<number>` is where it looks for the test with that number."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="awaitd-suites-"))
        return os.path.join(folder, "s")

    @cached_property
    def server(self) -> Server:
        env = {"BRIDGE_SOCKET": self.socket, "PYTHONPATH": str(HERE)}
        return self._stack.enter_context(serve(self._target, HERE, *self._options, env=env))

    @property
    def host(self) -> str:
        return self.server.url.removeprefix("http://").partition(":")[0]

    @property
    def port(self) -> int:
        return int(self.server.url.rpartition(":")[2])

    def stop(self) -> None:
        self._stack.close()


def peer() -> bool:
    """Is it uvicorn, or gunicorn, that is run?"""
    return os.environ.get("AWAITD_TEST_SERVER") == "uvicorn"


def bind(port: int) -> list[str]:
    """The options that make the server listen there."""
    return ["--bind", f"127.0.0.1:{port}"]
