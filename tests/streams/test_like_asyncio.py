"""The same handlers under asyncio.start_server() and under awaitd: what their clients see is the same."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import handlers
import pytest
from harness import Server, StartServer, eventually

HERE = Path(__file__).parent
LIMIT = 1 << 16

#: What a client sends for each experiment: bytes, and where it waits for a line of the handler's first, None.
CLIENTS: dict[str, list[bytes | None]] = {
    "lines": [b"a\nbb\n\nccc", b"\nlast without an end"],
    "iteration": [b"one\ntwo\n", b"thr", b"ee\n\nfour"],
    "whole": [bytes(3_000_000)],
    "exactly": [b"123", b"4", b"56", b"78" + b"x" * 99_999, b"y1234567", b"123"],
    "until": [b"line\ntwo\r", b"\nx\ny\r\n", b"aababab", b"ab and a long ", b"separ", b"ator and so on"],
    "some": [b"a line\n", None, b"0123456789" * 20],
    "mixed": [b"12rest\na;", b"z" * 70_000 + b"\nno question", b" mark\nlast"],
    "too_long": [b"x" * (LIMIT + 5), None, b"end of it\nnext\n"],
    "overrun": [b"x" * 100_000 + b"rest"],
    "wrong_arguments": [],
    "two_at_once": [None, b"line\n"],
    "cancelled": [b"12345", None, b"67890"],
    "another_separator": [b"1 a line\nand; more", None],
    "writing": [b"a line\n"],
    "left": [],
    "closing": [],
    "about": [],
    "wrapped": [b"one\n", b"two\n", b"three\n"],
}


@pytest.fixture(scope="module")
def asyncio_server() -> Iterator[int]:
    """The port of asyncio's own server."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(handlers.lab, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.close()


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def awaitd_server(start_server: StartServer, request: pytest.FixtureRequest) -> Server:
    return start_server("", HERE, "--bind", "tcp://127.0.0.1:0=handlers:lab", "--loop", request.param)


def talk(port: int, name: str, sends: list[bytes | None]) -> bytes:
    """What the handler sends, all of it, to a client that sends these."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(name.encode() + b"\n")
        received = b""
        for data in sends:
            if data is not None:
                client.sendall(data)
            while data is None and b"\n" not in received:  # its result may come along
                part = client.recv(1 << 16)
                assert part, f"the end after {received!r}"
                received += part
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(1 << 16):
            received += part
    return received


def test_every_experiment_has_its_client() -> None:
    assert CLIENTS.keys() == handlers.EXPERIMENTS.keys()


# spec: jobs 1
@pytest.mark.parametrize("name", CLIENTS)
def test_it_is_as_with_asyncio(awaitd_server: Server, asyncio_server: int, name: str) -> None:
    ours, theirs = (talk(port, name, CLIENTS[name]) for port in (awaitd_server.port("handlers:lab"), asyncio_server))
    assert ours == theirs


# spec: jobs 1
def test_what_follows_write_eof_and_close_is_as_with_asyncio(awaitd_server: Server, asyncio_server: int) -> None:
    for port in (awaitd_server.port("handlers:lab"), asyncio_server):
        assert talk(port, "writing", [b"a line\n"]) == b"bytes bytearray memoryview abc"
        # Lines that are told after the end go to the next who asks, once they are there.
        told = eventually(lambda port=port: talk(port, "left", []))
        assert (
            told
            == b"""[(True, False), (('RuntimeError', 'Cannot call write() after write_eof()'), False, b'a line\\n'), True]"""
        )
