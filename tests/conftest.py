"""Fixtures of all tests that start the real server. What tests import by name is in `harness`, `nginx` and `deployment`.

Environment:
CI                  `true`: a missing nginx is a failure, not a skip
"""

import os
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from deployment import Deploy, Deployed, deployed
from harness import Server, StartServer, binary, serve
from nginx import NGINX, Nginx, StartNginx, with_servers
from upgrades import Upgrades

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


@pytest.fixture
def upgrades() -> Iterator[Upgrades]:
    """Servers that a test has replaced by SIGUSR2: the new processes are killed after it."""
    made = Upgrades()
    yield made
    made.kill()


@pytest.fixture(scope="session")
def needs_nginx() -> None:
    if not NGINX:
        missing = "needs the package nginx (apt-get install nginx)"
        pytest.fail(missing, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(missing)


@pytest.fixture(scope="module")
def start_nginx(needs_nginx: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNginx]:
    """`start_nginx({"name": "what is in its server block"})` starts an nginx that is stopped after the module."""
    with ExitStack() as running:

        def start(servers: dict[str, str], common: str = "", http2: bool = False) -> Nginx:
            nginx = with_servers(Path(tmp_path_factory.mktemp("nginx")), servers, common, http2)
            running.callback(nginx.stop)
            return nginx

        yield start


@pytest.fixture(scope="module")
def deploy(needs_nginx: None) -> Iterator[Deploy]:
    """`deploy(root, service, site)` starts what a unit and a file of nginx's say, with `root` for /, until the module ends."""
    with ExitStack() as running:

        def start(root: Path, service: str, site: str) -> Deployed:
            found = running.enter_context(deployed(root, service, site))
            _running.append(found.server)
            running.callback(_running.remove, found.server)
            return found

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
