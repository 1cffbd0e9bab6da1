"""Fixtures of all tests that start the real server. What tests import by name is in `harness`."""

import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import Server, StartServer, binary, serve

_running: list[Server] = []


@pytest.fixture(scope="module")
def start_server() -> Iterator[StartServer]:
    """`start_server("main:app", app_dir)` starts a server that is stopped after the module, and must then exit with 0."""
    with ExitStack() as servers:

        def start(target: str, app_dir: Path, *options: str, **env: str) -> Server:
            server = servers.enter_context(serve(target, app_dir, *options, env=env))
            _running.append(server)
            servers.callback(_running.remove, server)
            return server

        yield start


@pytest.fixture
def launch() -> Iterator[StartServer]:
    """`launch("main:app", …)` starts a server and waits for nothing: the test sees to its end, or it is killed after it."""
    with ExitStack() as servers:

        def start(
            *arguments: str,
            env: Mapping[str, str] | None = None,
            program: str = "",
            cwd: Path | None = None,
            pass_fds: Sequence[int] = (),
        ) -> Server:
            server = Server([program or binary(), *arguments], {"VIRTUAL_ENV": sys.prefix} | dict(env or {}), cwd, pass_fds)
            _running.append(server)
            servers.callback(_running.remove, server)
            servers.callback(server.kill)
            return server

        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its servers said."""
    report = yield
    if report.failed:
        for server in _running:
            report.sections.append((f"{server.command[0]} (pid {server.pid})", server.output()[-20000:]))
    return report
