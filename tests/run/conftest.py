"""What the tests of `awaitd run` have in common: programs beside them, and how they are started."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import Server, StartServer


@pytest.fixture
def control(tmp_path: Path) -> Path:
    return tmp_path / "control"


@pytest.fixture
def supervise(launch: StartServer, control: Path) -> Callable[..., Server]:
    """`supervise("--bind", "127.0.0.1:0", program)` starts a program and waits until it is ready."""

    def start(*arguments: str | Path, ready: bool = True, env: dict[str, str] | None = None) -> Server:
        server = launch("run", "--control", str(control), *map(str, arguments), env=env)
        if ready:
            found = server.wait_for(r"ready(?: on (?:tcp://)?(\S+):)? ?.*worker")
            server.url = found[1] or ""
        return server

    return start
