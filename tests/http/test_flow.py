"""Back-pressure: what is sent faster than it is read waits where it is, not in anybody's memory."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


WATCHED = 20  # seconds
READERS = WRITERS = 200
RATE = 100_000  # bytes per second of each
TICK = 0.25


class Crowd:
    """Clients that read and clients that send, each of a gigabyte, at its own pace."""

    def __init__(self, server: Server) -> None:
        self.readers, self.writers = [], []
        for n in range(READERS):
            reader = Connection(server)
            reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BLOCK)  # little is hidden in the kernel
            reader.request("GET", f"/flood?blocks={GIB // BLOCK}&length=1&note=reader-{n}")
            self.readers.append(reader)
        for n in range(WRITERS):
            writer = Connection(server)
            writer.send(f"POST /sip?every=0.65&note=writer-{n} HTTP/1.1\r\nhost: test\r\ncontent-length: {GIB}\r\n\r\n")
            self.writers.append(writer)
        for one in (*self.readers, *self.writers):
            one.socket.setblocking(False)

    def tick(self) -> None:
        """Readers take what a tick allows; writers send all that is taken from them: their applications are slow."""
        for reader in self.readers:
            with suppress(BlockingIOError):
                reader.socket.recv(int(RATE * TICK))
        for writer in self.writers:
            with suppress(BlockingIOError):
                writer.socket.send(bytes(BLOCK))

    def cut(self) -> None:
        for one in (*self.readers, *self.writers):
            one.reset()


# spec: http 24
def test_four_hundred_slow_streams_at_once(start_server: StartServer) -> None:
    """Memory stays below the formula of docs/reference/server-behavior.md, at each moment, and others are served."""
    server = start_server("app:app", HERE, "--no-access-log")
    fetch(server, "/hello")
    pids = family(server.pid)
    before = [resident(pid) for pid in pids]
    crowd = Crowd(server)
    pause, curve = threading.Event(), []
    until = time.monotonic() + WATCHED
    while time.monotonic() < until:
        crowd.tick()
        assert fetch(server, "/hello").status == 200
        curve.append([resident(pid) - size for pid, size in zip(pids, before, strict=True)])
        pause.wait(TICK)
    streams = READERS + WRITERS
    highest = [max(point[i] for point in curve) / MIB for i in range(2)]
    assert highest[0] < 1.25 * streams * 80 / 1024 + 16, f"MiB, of the server: {highest}"
    assert highest[1] < streams * 128 / 1024 + 16, f"MiB, of the worker: {highest}"
    half = len(curve) // 2
    for i in range(2):  # a garbage collector's memory goes up and down: what only goes up is a leak
        early, late = max(point[i] for point in curve[:half]), min(point[i] for point in curve[half:])
        assert late < early + 4 * MIB, f"{early / MIB} MiB at most at first, {late / MIB} at least later"
    crowd.cut()
    for n in (0, READERS - 1):
        assert json.loads(fetch(server, f"/event?of=reader-{n}&is=lost").body)
        assert json.loads(fetch(server, f"/event?of=writer-{n}&is=http.disconnect").body)
    assert fetch(server, "/hello").status == 200
