"""What the tests of listening have in common: the application beside them, and a service manager."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Server, StartServer
from manager import HERE, Manager


@pytest.fixture
def run(launch: StartServer) -> StartServer:
    """`run("--uds", path)` starts the application with options and waits until it is ready."""

    def start(*options: str, target: str = "app:app", ready: bool = True, **env: str) -> Server:
        server = launch(target, "--app-dir", str(HERE), *options, env=env)
        if ready:
            server.wait_ready()
        return server

    return start


@pytest.fixture
def manager(launch: StartServer, tmp_path: Path) -> Iterator[Manager]:
    """A service manager that listens at a path."""
    played = Manager(launch, str(tmp_path / "notify"))
    with played.socket:
        yield played


@pytest.fixture
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that everybody may write to, and get to."""
    folder = tmp_path_factory.mktemp("public")
    for parent in [folder, *folder.parents]:
        if parent.owner() == "root" and parent != Path("/") and "pytest" in str(parent):
            parent.chmod(0o755)
    folder.chmod(0o1777)
    return folder
