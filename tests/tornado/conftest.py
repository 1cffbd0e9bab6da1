"""What the tests of Tornado have in common: the application beside them, and a server for most of them."""

from pathlib import Path

import pytest

from harness import Server, StartServer

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server("app:app", HERE, "--no-access-log")


@pytest.fixture
def run(launch: StartServer) -> StartServer:
    """`run("--workers", "2")` starts the application with options and waits until it is ready; the test ends it."""

    def start(*options: str, target: str = "app:app", app_dir: Path = HERE, **env: str) -> Server:
        server = launch(target, "--app-dir", str(app_dir), "--port", "0", "--no-access-log", *options, env=env)
        server.wait_ready()
        return server

    return start
