"""A server's life from the command line to its exit code: start, Ctrl-C at any time, stop in good order."""

import re
import signal
import socket
import stat
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import Server, StartServer, alive, eventually, family, stopped
from meeting import Gate, blocked
from rawhttp import Connection, fetch


def interrupt(server: Server) -> None:
    server.process.send_signal(signal.SIGINT)


# spec: process 1
def test_the_ready_line_names_the_address_and_the_interpreter(run: StartServer) -> None:
    server = run()
    python = re.escape(f"{sys.prefix}/bin/python")
    version = re.escape(".".join(map(str, sys.version_info[:3])))
    line = rf"^awaitd \S+ ready on http://127\.0\.0\.1:\d+: app:app, 1 worker \(asgi3, \w+\), Python {version} at {python}$"
    assert re.search(line, server.stderr.text(), re.M)
    assert server.stderr.text().count("ready on") == 1
    assert fetch(server, "/pid").status == 200


# spec: process 1
def test_ctrl_c_while_the_application_is_imported(run: StartServer, pipe: Path) -> None:
    server = run(ready=False, IMPORT_MEETS=str(pipe))
    blocked(pipe)
    workers = family(server.pid)[1:]
    interrupt(server)
    assert server.wait() == 0
    assert not any(map(alive, workers))
    assert "Traceback" not in server.output()


# spec: process 1
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_ctrl_c_while_serving(run: StartServer, number: signal.Signals, tmp_path: Path) -> None:
    server = run("--workers", "2")
    workers = family(server.pid)[1:]
    server.process.send_signal(number)
    assert server.wait() == 0
    assert not any(map(alive, workers))
    assert (tmp_path / "notes").read_text() == "lifespan shutdown\n" * 2


# spec: http 3
def test_what_was_refused_is_summed_up_at_the_end(run: StartServer) -> None:
    server = run()
    for request in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /" + "a" * 9000]:
        with Connection(server) as connection:
            assert connection.send(request).response().status >= 400
    interrupt(server)
    assert server.wait() == 0
    assert "refused in this run: 2 malformed request, 1 request line too long\n" in server.output()


# spec: process 1
# spec: process 8
def test_the_second_ctrl_c_forces(run: StartServer) -> None:
    server = run()
    workers = family(server.pid)[1:]
    with Connection(server) as connection:
        connection.request("GET", "/events").head()
        interrupt(server)
        server.wait_for("stopping$")
        assert connection.chunk() == b"data: 1\n\n"
        interrupt(server)
        assert server.wait(5) == 1
        eventually(lambda: not any(map(alive, workers)))


# spec: process 1
@pytest.mark.parametrize(
    ("target", "options", "code", "says"),
    [
        ("app:app", ["--prot", "1"], 2, "unknown flag `--prot`"),
        ("app:app", ["--workers", "0"], 2, "error: "),
        ("nothing:app", [], 3, "error: can't import `nothing:app`: no module named `nothing`"),
        ("app:nothing", [], 3, "error: can't import `app:nothing`: module `app` has no attribute `nothing`"),
    ],
)
def test_exit_codes(run: StartServer, target: str, options: list[str], code: int, says: str) -> None:
    server = run(*options, target=target, ready=False)
    assert server.wait() == code
    assert says in server.stderr.text()


# spec: process 1
def test_an_address_in_use_is_an_error_with_a_hint(run: StartServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = run("--bind", f"127.0.0.1:{port}", ready=False)
        assert server.wait() == 1
    hint = f"hint: pick another address with `--port {port + 1}`\n" if port < 65535 else ""
    assert server.stderr.text() == f"error: can't listen on 127.0.0.1:{port}: address already in use\n{hint}"


# spec: process 8
def test_stop_finishes_what_runs_and_takes_nothing_new(run: StartServer, tmp_path: Path, gate: Gate) -> None:
    server = run()
    with Connection(server) as idle, Connection(server) as busy, Connection(server) as quiet:
        assert idle.get("/pid").status == 200
        assert busy.request("GET", f"/wait?gate={gate}").head().status == 200
        quiet.request("GET", f"/quiet?gate={gate}")
        assert idle.get("/pid").status == 200  # by now both are under way
        server.process.terminate()
        assert idle.ends()
        assert not server.accepts()
        gate.open()
        assert busy.chunk() == b"first,"
        assert busy.chunk()
        assert busy.rest() == b"0\r\n\r\n"
        assert quiet.response()["connection"] == "close"
        assert quiet.ends()
    assert server.wait() == 0
    assert (tmp_path / "notes").read_text() == "lifespan shutdown\n"


# spec: process 8
def test_stop_answers_what_has_arrived_by_then(run: StartServer) -> None:
    server = run()
    with Connection(server) as idle, ExitStack() as stack:
        assert idle.get("/pid").status == 200
        with stopped(server):
            idle.request("GET", "/pid")
            waiting = [stack.enter_context(Connection(server)).request("GET", "/pid") for _ in range(200)]
            server.process.terminate()
        assert [connection.response().status for connection in (idle, *waiting)] == [200] * 201
        assert all(connection.ends() for connection in (idle, *waiting))
    assert server.wait() == 0


# spec: process 8
@pytest.mark.parametrize("query", ["", "?for-ever"])
def test_an_open_stream_does_not_hold_a_stop_for_ever(run: StartServer, tmp_path: Path, query: str) -> None:
    server = run("--timeout-graceful-shutdown", "0.3")
    with Connection(server) as connection:
        connection.request("GET", f"/events{query}").head()
        server.process.terminate()
        assert connection.chunk() == b"data: 1\n\n"
        assert connection.ends()
    assert server.wait(5) == 0
    server.wait_for("the grace is over")
    assert (tmp_path / "notes").read_text() == "disconnected\nlifespan shutdown\n"


# spec: process 8
def test_the_grace_is_one_for_connections_and_workers_together(run: StartServer, gate: Gate) -> None:
    server = run("--timeout-graceful-shutdown", "2")
    with Connection(server) as connection:
        connection.request("GET", f"/wait?gate={gate}").head()  # takes no notice of a client that leaves
        server.process.terminate()
        assert connection.chunk() == b"first,"
        assert connection.ends()
    assert server.wait(1.5) == 0  # not another grace for the worker


# spec: process 1
def test_unix_socket(run: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = run("--uds", str(path))
    assert fetch(server, "/pid").status == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    second = run("--uds", str(path), ready=False)
    assert second.wait() == 1
    assert f"error: can't listen on unix:{path}: address already in use\nhint: another server" in second.output()
    assert fetch(server, "/pid").status == 200
    assert server.stop() == 0
    assert not path.exists()


# spec: process 1
def test_unix_socket_with_permissions_in_place_of_a_dead_one(run: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server = run("--uds", str(path), "--uds-permissions", "600")
    assert fetch(server, "/pid").status == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# spec: process 1
def test_inherited_socket(launch: StartServer, run: StartServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = Path(__file__).parent
        server = launch("app:app", "--app-dir", str(here), "--fd", str(listener.fileno()), pass_fds=[listener.fileno()])
        server.wait_ready()
        assert server.url.endswith(f":{listener.getsockname()[1]}")
    assert fetch(server, "/pid").status == 200
    assert server.stop() == 0


# spec: process 14
def test_access_log_on_and_off(run: StartServer) -> None:
    server = run()
    fetch(server, "/version?a=b")
    line = r'^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} 127\.0\.0\.1:\d+ "GET /version\?a=b HTTP/1\.1" 200 3 \d+\.\d{3}ms worker-1$'
    assert server.stdout.wait_for(line)
    with Connection(server) as connection:
        connection.send(b'GET /version?"\\\xe9 HTTP/1.1\r\nhost: test\r\n\r\n').response()
    assert server.stdout.wait_for(re.escape(r'"GET /version?\"\\\xe9 HTTP/1.1" 200 3 '))
    quiet = run("--no-access-log")
    fetch(quiet, "/version")
    assert quiet.stop() == 0
    assert quiet.stdout.text() == ""
