"""A small message that inflates to a large one."""

import json
import struct
import sys
import zlib
from pathlib import Path

import pytest

from harness import Server, StartServer, eventually, family
from rawhttp import fetch

HERE = Path(__file__).parent
MB = 2**20
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n"
)
SPARE = 6 * MB  # for what arrives, and what inflating takes: not for what comes of it


def zeros(megabytes: int) -> bytes:
    """So many megabytes of zeros, compressed. After a full flush the same bytes come again."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = deflater.compress(bytes(MB)) + deflater.flush(zlib.Z_FULL_FLUSH)
    return one * (megabytes - 1) + one.removesuffix(b"\0\0\xff\xff")


def frame(payload: bytes) -> bytes:
    """A compressed binary message. Its mask is zero, which changes nothing."""
    n = len(payload)
    head = struct.pack("!BBH4x", 0xC2, 0xFE, n) if n < 2**16 else struct.pack("!BBQ4x", 0xC2, 0xFF, n)
    return head + payload


def peaks(server: Server) -> list[int]:
    """The most that the server, and each process of its, ever had in memory."""
    lines = (Path(f"/proc/{pid}/status").read_text().splitlines() for pid in sorted(family(server.pid)))
    return [1024 * int(line.split()[1]) for status in lines for line in status if line.startswith("VmHWM:")]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_bomb_is_refused_before_it_is_inflated(start_server: StartServer) -> None:
    # spec: websocket 2 (bounded inflation, a bomb closes with 1009)
    # spec: websocket 3 (before it is in memory)
    server = start_server("bombs:app", HERE, "--no-access-log")
    bomb = zeros(1024)
    assert len(bomb) < 1.1 * MB
    with server.connect() as connection, connection.makefile("rb") as answer:
        connection.sendall(HANDSHAKE)
        while (line := answer.readline()) != b"\r\n":
            assert line
        connection.sendall(frame(zeros(1)))  # what the first message takes is taken
        eventually(lambda: MB in seen(server))
        before = peaks(server)
        connection.sendall(frame(bomb))
        first, length = answer.read(2)
        assert (first, answer.read(length)[:2]) == (0x88, struct.pack("!H", 1009))
    eventually(lambda: len(seen(server)) == 3)
    assert seen(server)[:2] == ["accepted", MB]
    assert seen(server)[2][0] == 1009
    growth = [after - then for then, after in zip(before, peaks(server), strict=True)]
    print(f"the bomb has {len(bomb)} bytes; peaks grew by {growth}, from {before}")
    assert max(growth) < SPARE


def seen(server: Server) -> list[object]:
    heard: list[object] = json.loads(fetch(server, "/").body)
    return heard
