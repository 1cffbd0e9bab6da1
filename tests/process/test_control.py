"""The control socket and the commands that use it."""

import json
import os
import re
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from harness import Server, StartServer, alive, binary, eventually, family
from meeting import Gate, blocked, release
from rawhttp import Connection, fetch
from test_reload import publish


def command(*arguments: str, code: int = 0, **env: str) -> str:
    """Runs a command; what it says, on standard error if it is expected to fail."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWAITD_")}
    ended = subprocess.run([binary(), *arguments], env=ours | env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stderr if code else ended.stdout


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control"


# spec: process 18
def test_the_socket_is_the_users_alone_and_ends_with_the_server(run: StartServer, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))  # left over: it is replaced
    server = run("--control", str(path))
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server.stop() == 0
    assert not path.exists()


def test_status(run: StartServer, path: Path, gate: Gate) -> None:
    server = run("--workers", "2", "--control", str(path))
    with Connection(server) as busy, Connection(server) as bad:
        busy.request("GET", f"/quiet?gate={gate}")
        assert bad.send("GET / HTTP/1.1\r\n\r\n").response().status == 400
        status = eventually(lambda: (s := tell(path)) and sum(w["running"] for w in s["workers"]) == 1 and s)
        text = command("status", "--control", str(path))
        gate.open()
        assert busy.response().status == 200
    assert (status["pid"], status["state"], status["target"]) == (server.pid, "serving", "app:app")
    assert status["addresses"] == [server.url]
    assert sum(worker["requests"] for worker in status["workers"]) == 1
    assert (status["queue"], status["refused"]) == (0, {"malformed request": 1})
    assert status["memory"] > 1 << 20
    assert {w["pid"] for w in status["workers"]} <= set(family(server.pid)[1:])
    assert [(w["name"], w["state"], w["interface"]) for w in status["workers"]] == [
        ("worker-1", "ready", "asgi3"),
        ("worker-2", "ready", "asgi3"),
    ]
    assert re.search(rf"pid {server.pid}: serving app:app for \d+s\n", text)
    assert re.search(r"\nworker-1  +\d+  +ready  +\d+s  +asgi3", text)
    assert "refused  1 malformed request\n" in text


def tell(path: Path) -> dict:
    return json.loads(command("status", "--json", "--control", str(path)))


# spec: process 6
def test_reload_returns_when_it_is_over(run: StartServer, path: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = publish(tmp_path / "site" / "main.py", "one")
    server = run("--control", str(path), target="main:app", app_dir=site.parent)
    publish(site, "two")
    command("reload", "--control", str(path))
    assert fetch(server, "/version").text == "two"
    publish(site, "broken", "raise RuntimeError('broken now')\n")
    said = command("reload", "--control", str(path), code=1)
    assert "RuntimeError: broken now\nerror: " in said
    assert fetch(server, "/version").text == "two"


# spec: process 8
def test_stop_returns_when_the_server_is_gone(run: StartServer, path: Path, gate: Gate) -> None:
    server = run("--control", str(path))
    workers = family(server.pid)[1:]
    with Connection(server) as busy:
        busy.request("GET", f"/wait?gate={gate}").head()
        with subprocess.Popen([binary(), "stop", "--control", str(path)]) as stopping:
            server.wait_for("asked to stop by a command")
            server.wait_for("stopping$")
            assert tell(path)["state"] == "stopping"
            assert stopping.poll() is None
            gate.open()
            assert busy.chunk() == b"first,"
            assert stopping.wait(20) == 0
    assert not any(map(alive, [server.pid, *workers]))
    assert server.wait() == 0
    assert not path.exists()


def test_stacks_tell_where_a_worker_is_stuck(run: StartServer, path: Path, pipe: Path) -> None:
    server = run("--workers", "2", "--control", str(path))
    with Connection(server) as connection:
        connection.request("GET", f"/block?pipe={pipe}")
        blocked(pipe)
        text = command("stacks", "--control", str(path))
        release(pipe)
        assert connection.response().status == 200
    assert re.search(r"^worker-1, pid \d+$", text, re.M)
    assert re.search(r"^worker-2, pid \d+$", text, re.M)
    assert re.search(r'app.py", line \d+ in do_block', text)
    one = command("stacks", "worker-2", "--control", str(path))
    assert one.startswith("worker-2, pid ")
    assert "worker-1" not in one
    said = command("stacks", "other", "--control", str(path), code=1)
    assert said == "error: there is no worker `other`\nhint: there are worker-1, worker-2\n"


def test_a_worker_that_hangs_in_its_start_can_be_looked_at(run: StartServer, path: Path, pipe: Path) -> None:
    server = run("--control", str(path), ready=False, IMPORT_MEETS=str(pipe))
    blocked(pipe)
    assert tell(path)["state"] == "starting"
    assert re.search(r'app.py", line \d+ in meet', command("stacks", "--control", str(path)))
    assert command("reload", "--control", str(path), code=1) == "error: the server is starting\n"
    command("stop", "--control", str(path))
    assert server.wait() == 0


def test_the_only_server_is_found_and_of_several_one_is_to_be_named(run: StartServer, tmp_path: Path) -> None:
    place = tmp_path / "run"
    place.mkdir(mode=0o700)
    env = {"XDG_RUNTIME_DIR": str(place), "TMPDIR": str(tmp_path)}
    hint = "hint: name its control socket with `--control PATH`\n"
    assert command("status", code=1, **env) == f"error: no server of this user is running, or none that can be found\n{hint}"
    one = run(**env)
    assert (place / f"awaitd-{one.pid}.sock").is_socket()
    assert f"pid {one.pid}: serving" in command("status", **env)
    other = run(**env)
    said = command("status", code=2, **env)
    assert said.startswith("error: 2 servers are running\nhint: name one:\n")
    for server in (one, other):
        assert f"\n  --control {place}/awaitd-{server.pid}.sock  (pid {server.pid}, app:app)" in said
    other.kill()
    assert f"pid {one.pid}: serving" in command("status", **env)
    third = run(**env)  # removes what the killed one has left
    assert not (place / f"awaitd-{other.pid}.sock").exists()
    assert third.stop() == 0


def test_without_a_control_socket(run: StartServer, tmp_path: Path) -> None:
    place = tmp_path / "run"
    place.mkdir(mode=0o700)
    server = run("--control", "none", XDG_RUNTIME_DIR=str(place), TMPDIR=str(tmp_path))
    assert list(place.iterdir()) == []
    assert fetch(server, "/pid").status == 200


def test_a_control_socket_that_cannot_be_had_is_an_error_only_if_it_was_asked_for(
    run: StartServer, path: Path, tmp_path: Path
) -> None:
    path.write_text("something else")
    server = run("--control", str(path), ready=False)
    assert server.wait() == 1
    assert f"error: no control socket: can't listen on unix:{path}: there is something else: a file" in server.output()
    server = run(XDG_RUNTIME_DIR=str(path), TMPDIR="/nowhere")
    if not Path(f"/run/user/{os.getuid()}").exists():
        server.wait_for("there is no control socket")
    assert fetch(server, "/pid").status == 200


def test_two_servers_do_not_share_a_control_socket(run: StartServer, path: Path) -> None:
    first: Server = run("--control", str(path))
    second = run("--control", str(path), ready=False)
    assert second.wait() == 1
    assert f"can't listen on unix:{path}: address already in use" in second.output()
    assert tell(path)["pid"] == first.pid
