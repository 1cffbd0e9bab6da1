"""Command lines, and what has to be installed for them."""

from pathlib import Path

import pytest

import provision
import servers
from launch import Launch
from procs import Process
from rows import ROWS
from servers import SERVERS


def launch(directory: Path, name: str, threads: int = 1, workers: int = 1) -> Launch:
    return Launch("hello:wsgi", 9000, 64, directory, threads, SERVERS[name].way, workers)


def command(directory: Path, name: str, threads: int = 1, workers: int = 1) -> str:
    return " ".join(SERVERS[name].command(launch(directory, name, threads, workers)))


def test_behind_nginx_servers_have_the_socket_and_not_the_port(tmp_path: Path) -> None:
    socket = f"{tmp_path}/application.sock"
    shown = {name: command(tmp_path, name) for name in ROWS["behind_nginx"].servers}
    assert not [name for name, line in shown.items() if "9000" in line]
    assert f"--bind uwsgi://unix:{socket} " in shown["awaitd@uwsgi_pass"]
    assert f"--bind unix:{socket} " in shown["awaitd@proxy_pass"]
    assert f"--bind unix:{socket} " in shown["gunicorn@proxy_pass"]
    assert f"--uds {socket} " in shown["granian@proxy_pass"]
    assert f"--socket {socket} " in shown["uwsgi@uwsgi_pass"]


def test_a_row_with_threads_gives_them_to_every_server_of_it(tmp_path: Path) -> None:
    row = ROWS["wsgi_wait"]
    for name in row.servers:
        assert "threads 4" in command(tmp_path, name, row.threads), name


def test_a_row_with_workers_gives_them_to_every_server_of_it(tmp_path: Path) -> None:
    for row in (ROWS["mixed"], ROWS["reload"]):
        for name in row.servers:
            line = command(tmp_path, name, workers=row.workers)
            file = tmp_path / "hypercorn.toml"
            assert "--workers 2 " in line or "workers = 2\n" in file.read_text(), name


def test_what_is_wsgi_is_said_by_the_target(tmp_path: Path) -> None:
    targets = ["hello:wsgi", "config.wsgi:application", "hello:app", "config.asgi:application"]
    assert [Launch(target, 9000, 64, tmp_path).wsgi for target in targets] == [True, True, False, False]


def test_uwsgi_asks_for_no_more_backlog_than_the_kernel_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "somaxconn").write_text("128\n")
    monkeypatch.setattr(servers, "SOMAXCONN", str(tmp_path / "somaxconn"))
    assert "--listen 128 " in command(tmp_path, "uwsgi")


def test_a_process_of_the_nginx_in_front_is_not_the_servers() -> None:
    def process(pid: int, name: str) -> Process:
        return Process(pid, name, 1, pid, 0.0, pid)

    behind, floor = SERVERS["uwsgi@uwsgi_pass"].role(10), SERVERS["nginx"].role(10)
    assert [behind(process(*p)) for p in ((10, "uwsgi"), (11, "uwsgi"), (20, "nginx"))] == ["master", "worker", "nginx"]
    assert [floor(process(*p)) for p in ((10, "nginx"), (11, "nginx"))] == ["master", "worker"]


def test_every_peer_is_pinned() -> None:
    pinned = {provision.package(pin) for pin in provision.pins((provision.BENCH / "requirements.txt").read_text())}
    assert {package for server in SERVERS.values() for package in server.needs} <= pinned | {"awaitd", "nginx"}


def test_every_server_of_a_row_is_one() -> None:
    for row in ROWS.values():
        assert set(row.servers) <= set(SERVERS), row.name
