"""A real nginx in front of a server: started, waited for, counted apart from it, and gone at the end."""

import http.client
import os
import shutil
import sys

import pytest

import procs
from launch import Launch
from measure import cpu_figures
from rows import Row
from running import NotAvailable, Running
from servers import Server

ROW = Row("row", "a row", (), "hello:wsgi")

# Listens only after it has seen that nginx answers for it; then gives back, in hex, what it was sent.
APPLICATION = """
import socket, sys
path, port = sys.argv[1], int(sys.argv[2])
while True:
    try:
        with socket.create_connection(("127.0.0.1", port)) as nginx:
            nginx.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            assert b" 502 " in nginx.recv(100)
            break
    except ConnectionError:
        pass
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
while True:
    connection, _ = listener.accept()
    with connection:
        said = connection.recv(65536).hex().encode()
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(said), said))
"""


def application(launch: Launch) -> list[str]:
    return [sys.executable, "-c", APPLICATION, launch.socket, str(launch.port)]


def ending(_: Launch) -> list[str]:
    return [sys.executable, "-c", "import sys; print('no uwsgi here'); sys.exit(3)"]


def get(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/a?b")
    reply = connection.getresponse()
    assert reply.status == 200
    return bytes.fromhex(reply.read().decode())


@pytest.mark.skipif(not shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"), reason="nginx is not installed")
class TestBehindNginx:
    @pytest.mark.parametrize(
        ("way", "expected"),
        [
            ("uwsgi_pass", (b"\x0c\x00QUERY_STRING\x01\x00b", b"\x09\x00PATH_INFO\x02\x00/a", b"\x0b\x00REMOTE_ADDR")),
            ("proxy_pass", (b"GET /a?b HTTP/1.1\r\n", b"\r\nX-Forwarded-For: 127.0.0.1\r\n", b"\r\nHost: 127.0.0.1\r\n")),
        ],
    )
    def test_a_request_reaches_the_server_in_its_way(self, way: str, expected: tuple[bytes, ...]) -> None:
        server = Running(Server("stub", application, way=way), ROW)
        try:
            sent = get(server.port)
            assert [part for part in expected if part not in sent] == []
            assert (b"Connection: close" in sent) is False
        finally:
            server.stop()

    def test_both_are_counted_apart_and_both_end(self) -> None:
        server = Running(Server("stub", application, way="proxy_pass"), ROW)
        try:
            before = server.usage()
            get(server.port)
            used = procs.cpu_between(before, server.usage(), server.role)
            memory = server.memory()
            pids = {u.process.pid for u in before.values()}
        finally:
            server.stop()
        assert used.keys() == memory.keys() == {"worker", "nginx"}
        assert all(us > 0 for us in used.values())
        assert len(pids) == 3  # nginx's master and worker, and the application
        assert not [p for p in procs.running() if p.pid in pids]

    def test_a_server_that_ends_is_told_from_one_that_is_late(self) -> None:
        with pytest.raises(NotAvailable, match="ended with 3 at start: no uwsgi here"):
            Running(Server("stub", ending, way="uwsgi_pass"), ROW)


def test_the_servers_own_share_is_without_the_nginx_in_front() -> None:
    figures = cpu_figures({"nginx": 30.0, "master": 0.0, "worker": 10.0}, 2)
    assert (figures["cpu_us"], figures["own_cpu_us"]) == (20, 5)
    assert (figures["per_cpu_second"], figures["own_per_cpu_second"]) == (50_000, 200_000)
    assert cpu_figures({"master": 10.0, "worker": 30.0}, 2) == {"cpu_us": 20, "per_cpu_second": 50_000}
