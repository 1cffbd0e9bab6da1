"""permessage-deflate (RFC 7692): what is agreed, and that nobody blows the server up with it."""

import zlib
from pathlib import Path

import pytest
from websockets.sync.client import connect

from harness import Server, StartServer, family, resident
from rawhttp import fetch
from rawsocket import BINARY, TEXT, WebSocket, frame

HERE = Path(__file__).parent
MIB = 1 << 20
OFFER = "permessage-deflate; client_max_window_bits"


def packed(*parts: bytes) -> bytes:
    """A message's payload as RFC 7692 §7.2.1 has it."""
    packer = zlib.compressobj(9, wbits=-15)
    whole = b"".join([packer.compress(part) for part in parts])
    return (whole + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def unpacked(payload: bytes, bits: int = 15) -> bytes:
    return zlib.decompressobj(wbits=-bits).decompress(payload + b"\0\0\xff\xff")


@pytest.fixture(scope="module")
def with_takeover(start_server: StartServer) -> Server:
    return start_server("app:app", HERE, "--no-access-log", "--ws-context-takeover")


# spec: websocket 2
def test_without_takeover_by_default(server: Server) -> None:
    with WebSocket(server, "/echo", sec_websocket_extensions=OFFER) as s:
        agreed = {part.strip() for part in s.answer["sec-websocket-extensions"].split(";")}
        assert {"permessage-deflate", "server_no_context_takeover", "client_no_context_takeover"} <= agreed
        text = b"a word and a word and a word; " * 100
        for _ in range(3):
            s.raw(frame(TEXT, packed(text), packed=True))
            found = s.frame()
            assert found.packed
            assert len(found.payload) < 200
            assert unpacked(found.payload) == text


# spec: websocket 2
def test_small_messages_are_sent_as_they_are(server: Server) -> None:
    with WebSocket(server, "/echo", sec_websocket_extensions=OFFER) as s:
        s.raw(frame(TEXT, packed(b"hello"), packed=True))
        found = s.frame()
        assert (found.packed, found.payload) == (False, b"hello")


# spec: websocket 2
@pytest.mark.parametrize(
    ("offer", "parameter"),
    [
        ("permessage-deflate; server_no_context_takeover", "server_no_context_takeover"),
        ("permessage-deflate; client_no_context_takeover", "client_no_context_takeover"),
        ("permessage-deflate; server_max_window_bits=10", "server_max_window_bits=10"),
        ("x-other, permessage-deflate; server_max_window_bits=9; client_max_window_bits=9", "server_max_window_bits=9"),
    ],
)
def test_the_parameters_that_are_asked_for(with_takeover: Server, offer: str, parameter: str) -> None:
    with WebSocket(with_takeover, "/echo", sec_websocket_extensions=offer) as s:
        agreed = [part.strip() for part in s.answer["sec-websocket-extensions"].split(";")]
        assert parameter in agreed
        text = bytes(range(256)) * 300
        s.raw(frame(BINARY, text))
        found = s.frame()
        bits = next((int(part.rpartition("=")[2]) for part in agreed if part.startswith("server_max_window_bits")), 15)
        whole = found.payload
        while not found.fin:
            found = s.frame()
            whole += found.payload
        assert unpacked(whole, bits) == text


# spec: websocket 2
@pytest.mark.parametrize("takeover", [False, True])
def test_a_real_client_agrees_and_is_understood(server: Server, with_takeover: Server, takeover: bool) -> None:
    of = with_takeover if takeover else server
    with connect(of.url.replace("http", "ws") + "/echo", compression="deflate", max_size=None) as client:
        (extension,) = client.protocol.extensions
        assert extension.name == "permessage-deflate"
        for message in ("short", "text " * 10_000, b"\0" * 300_000, bytes(range(256)) * 1000, "", "ü" * 70_000):
            client.send(message)
            assert client.recv() == message


# spec: websocket 2
def test_not_agreed(run: StartServer, server: Server) -> None:
    off = run("--no-ws-per-message-deflate")
    with WebSocket(off, "/echo", sec_websocket_extensions=OFFER) as s:
        assert "sec-websocket-extensions" not in s.answer
    assert off.stop() == 0
    for offer in ("permessage-deflate; unknown", "permessage-deflate; server_max_window_bits=7", "x-other"):
        with WebSocket(server, "/echo", sec_websocket_extensions=offer) as s:
            assert "sec-websocket-extensions" not in s.answer
            assert s.send("a" * 10_000).receive() == "a" * 10_000


# spec: websocket 2
# spec: websocket 3
@pytest.mark.parametrize("size", [1, 1024])
def test_a_bomb(start_server: StartServer, size: int) -> None:
    server = start_server("app:app", HERE, "--no-access-log", "--ws-max-size", str(MIB - 1 if size == 1 else 16 * MIB))
    fetch(server, "/hello")
    pids = family(server.pid)
    before = [resident(pid) for pid in pids]
    with WebSocket(server, "/slow?note=bomb&gate=bomb", sec_websocket_extensions=OFFER) as s:
        fetch(server, "/open?gate=bomb")
        bomb = packed(*[bytes(MIB)] * size)
        assert len(bomb) < 1100 * size
        s.raw(frame(BINARY, bomb, packed=True))
        assert s.closed()[0] == 1009
        assert s.ended()
    server.wait_for("bomb: 1009 ")
    grown = [(resident(pid) - was) / MIB for pid, was in zip(pids, before, strict=True)]
    assert grown[0] < 8, f"MiB: {grown}"
    assert grown[1] < (8 if size == 1 else 40), f"MiB: {grown}"  # a worker puts messages together up to the limit


# spec: websocket 2
def test_what_is_no_deflate(server: Server) -> None:
    with WebSocket(server, "/echo?note=broken", sec_websocket_extensions=OFFER) as s:
        s.raw(frame(BINARY, b"\xff" * 20, packed=True))
        assert s.closed()[0] in (1002, 1007)
    server.wait_for("broken: 100[27] ")
