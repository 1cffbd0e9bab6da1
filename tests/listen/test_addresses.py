"""Unix sockets with their mode and owner, and several addresses at once."""

import re
import secrets
import socket
import stat
from pathlib import Path

import pytest

from accounts import NOBODY, as_nobody, root_only
from harness import Server, StartServer, binary, eventually
from manager import HERE
from rawhttp import fetch


# spec: protocols 11
@root_only
@pytest.mark.parametrize(
    ("owner", "uid", "gid"),
    [
        ("nobody", NOBODY.pw_uid, 0),
        (f"nobody:{NOBODY.pw_gid}", NOBODY.pw_uid, NOBODY.pw_gid),
        (":4711", 0, 4711),
        ("4711:4712", 4711, 4712),
    ],
)
def test_the_owner_of_a_unix_socket(run: StartServer, tmp_path: Path, owner: str, uid: int, gid: int) -> None:
    path = tmp_path / "socket"
    server = run("--uds", str(path), "--uds-owner", owner, "--uds-permissions", "620")
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (uid, gid, 0o620)
    assert fetch(server, "/pid").status == 200
    assert server.stop() == 0
    assert not path.exists()


# spec: protocols 11
@root_only
def test_who_may_not_give_a_socket_away_is_told(public: Path) -> None:
    path = public / "socket"
    ended = as_nobody(binary(), "app:app", "--uds", str(path), "--uds-owner", "root", "--python", "/bin/true", cwd=public)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"error: can't listen on unix:{path}: can't give the socket to user 0: operation not permitted\n"
        "hint: only root may give it to another user, others only to a group they are in: `--uds-owner :GROUP`\n"
    )
    assert not path.exists()


# spec: protocols 11
@root_only
@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_a_leftover_socket_of_another_user(public: Path, mode: int) -> None:
    path = public / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    path.chmod(mode)
    ended = as_nobody(binary(), "app:app", "--uds", str(path), "--python", "/bin/true", cwd=public)
    assert ended.returncode == 1
    why = "it may not be asked whether anybody listens" if mode == 0o600 else "nobody listens on it, but it may not be removed"
    assert ended.stderr == (
        f"error: can't listen on unix:{path}: there is a socket of another user: {why}\n"
        f"hint: remove `{path}` as its owner, or choose another path\n"
    )
    assert path.is_socket()


# spec: protocols 11
def test_an_abstract_socket(run: StartServer, tmp_path: Path) -> None:
    name = "@awaitd-test-" + secrets.token_hex(8)
    server = run("--bind", f"unix:{name}")
    assert f"ready on unix:{name}: app:app" in server.stderr.text()
    server.url = "unix:\0" + name[1:]
    assert fetch(server, "/pid").status == 200
    second = run("--bind", f"unix:{name}", ready=False)
    assert second.wait() == 1
    assert f"error: can't listen on unix:{name}: address already in use" in second.output()
    assert server.stop() == 0


# spec: protocols 11
def test_several_addresses_at_once(run: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = run("--bind", "127.0.0.1:0", "--bind", f"unix:{path}", "--bind", "127.0.0.1:0")
    ready = eventually(lambda: found if len(found := re.findall("ready on (.*): app:app", server.stderr.text())) == 3 else None)
    assert ready[1] == f"unix:{path}"
    assert len(set(ready)) == 3
    for where in ready:
        server.url = where
        assert fetch(server, "/pid").status == 200
    assert server.stop() == 0
    assert not path.exists()


# spec: protocols 11
def test_of_several_addresses_the_one_that_fails_is_named_and_the_others_are_given_up(run: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = run("--bind", f"unix:{path}", "--bind", f"127.0.0.1:{port}", ready=False)
        assert server.wait() == 1
    assert server.output().startswith(f"error: can't listen on 127.0.0.1:{port}: address already in use\n")
    assert not path.exists()


# spec: protocols 11
def test_of_servers_that_find_a_leftover_socket_one_serves(launch: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    servers: list[Server] = [launch("app:app", "--app-dir", str(HERE), "--uds", str(path)) for _ in range(4)]
    eventually(lambda: sum(server.process.poll() is not None for server in servers) == 3, 30)
    (left,) = [server for server in servers if server.process.poll() is None]
    left.wait_ready()
    assert fetch(left, "/pid").status == 200
    assert left.stop() == 0
    for server in servers:
        assert server is left or "address already in use\nhint: another server listens on" in server.output()
