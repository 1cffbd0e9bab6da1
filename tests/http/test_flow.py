"""Back-pressure: what is sent faster than it is read waits where it is, not in anybody's memory."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import Server, StartServer, family, resident
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
MIB = 1 << 20
GIB = 1 << 30
BLOCK = 65536


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server("app:app", HERE, "--no-access-log")


@contextmanager
def flat(server: Server) -> Iterator[None]:
    """The memory of the server and of its worker, after a first request of the kind, does not grow."""
    pids = family(server.pid)
    assert len(pids) == 2
    before = [resident(pid) for pid in pids]
    yield
    grown = [(resident(pid) - size) / MIB for pid, size in zip(pids, before, strict=True)]
    assert max(grown) < 24, f"MiB: {grown}"


def download(server: Server, size: int, name: str) -> None:
    """Reads nothing until the application has come to a stand, then everything; other requests are served meanwhile."""
    with Connection(server) as connection:
        connection.request("GET", f"/flood?blocks={size // BLOCK}&length=1&note={name}")
        fetch(server, f"/event?of={name}&is=flowing")
        for _ in range(50):
            assert fetch(server, "/hello").status == 200
        assert json.loads(fetch(server, f"/all-events?of={name}").body) == ["begun", "flowing"]
        assert connection.head()["content-length"] == str(size)
        assert connection.skip(size) == size


# spec: http 24
def test_a_large_response_to_a_slow_reader(server: Server) -> None:
    download(server, 64 * MIB, "warm")
    with flat(server):
        download(server, GIB, "large")


def upload(server: Server, size: int, name: str) -> None:
    """Sends to an application that does not read, until nobody takes more; then opens its gate and sends the rest."""
    block = memoryview(bytes(MIB))
    with Connection(server) as connection:
        connection.send(f"POST /sink?gate={name} HTTP/1.1\r\nhost: test\r\ncontent-length: {size}\r\n\r\n")
        connection.socket.setblocking(False)
        sent = 0
        for _ in range(200):  # each look at the server gives it the time to take what it wants
            try:
                sent += connection.socket.send(block)
            except BlockingIOError:
                assert fetch(server, "/hello").status == 200
        assert sent < 32 * MIB
        fetch(server, f"/open-gate?gate={name}")
        connection.socket.settimeout(10)
        while sent < size:
            sent += connection.socket.send(block[: size - sent])
        found = json.loads(connection.response().body)
    assert found == {"type": "http.request", "bytes": size, "largest": found["largest"]}
    assert found["largest"] <= BLOCK


# spec: http 24
def test_a_large_upload_to_a_slow_application(server: Server) -> None:
    upload(server, 64 * MIB, "warm-up")
    with flat(server):
        upload(server, GIB, "large-up")
