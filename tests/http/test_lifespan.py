"""The lifespan, from the command line's end: modes, failures with their exit code, shutdown once and after the connections."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import Server, StartServer
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
Launch = Callable[..., Server]


# spec: http 21
def test_auto_goes_on_silently_without(start_server: StartServer) -> None:
    server = start_server("lifespans:none", HERE, "--no-access-log")
    assert fetch(server, "/").text == "none"
    assert "lifespan" not in server.stderr.text().partition("\n")[2]


# spec: http 21
def test_on_wants_it(launch: Launch) -> None:
    server = launch("lifespans:none", "--app-dir", str(HERE), "--port", "0", "--lifespan", "on")
    assert server.wait() == 3
    assert "error: can't start `lifespans:none`: it raised AssertionError in its lifespan" in server.output()


# spec: http 21
def test_off_never_asks(start_server: StartServer) -> None:
    server = start_server("lifespans:failing", HERE, "--lifespan", "off")
    assert fetch(server, "/").text == "failing"


# spec: http 21
def test_startup_failed_is_its_message_and_exit_3(launch: Launch) -> None:
    server = launch("lifespans:failing", "--app-dir", str(HERE), "--port", "0")
    assert server.wait() == 3
    output = server.stderr.text()
    assert output == "error: can't start `lifespans:failing`: lifespan startup failed: no database\n"


# spec: http 21
def test_startup_has_a_deadline(launch: Launch) -> None:
    server = launch("lifespans:hanging", "--app-dir", str(HERE), "--port", "0", "--timeout-startup", "0.5")
    assert server.wait() == 3
    assert "error: can't start `lifespans:hanging`: not ready after 500ms\nhint: " in server.output()


# spec: http 21
@pytest.mark.parametrize("workers", [1, 2])
def test_shutdown_runs_once_after_the_connections(launch: Launch, tmp_path: Path, workers: int) -> None:
    options = ("--app-dir", str(HERE), "--port", "0", "--workers", str(workers))
    server = launch("lifespans:counting", *options, env={"LOG": str(tmp_path / "log")})
    server.wait_ready()
    with Connection(server) as connection:
        connection.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n")
        assert connection.head().status == 200
        server.process.terminate()
        server.wait_for("stopping")
        connection.send("go")
        assert connection.chunk() == b"done"
        assert connection.chunk() == b""
    assert server.wait() == 0
    lines = (tmp_path / "log").read_text().split()
    assert sorted(lines[-workers:]) == ["shutdown"] * workers
    assert sorted(lines[:-workers]) == sorted(["startup"] * workers + ["answered"])
