"""The end of a WebSocket, by either side, in good order and not: the codes and reasons that each hears."""

import struct
from pathlib import Path

import pytest

from harness import Server, StartServer
from rawhttp import fetch
from rawsocket import BINARY, CLOSE, PING, PONG, TEXT, WebSocket, frame

HERE = Path(__file__).parent


# spec: websocket 5
@pytest.mark.parametrize(
    ("code", "reason", "answer"),
    [
        (1000, "", (1000, "")),
        (1001, "going away", (1001, "")),
        (3000, "", (3000, "")),
        (4999, "ü" * 61, (4999, "")),
        (None, "", (1005, "")),
    ],
)
def test_the_client_closes(server: Server, code: int | None, reason: str, answer: tuple[int, str]) -> None:
    with WebSocket(server, "/echo?note=closes") as s:
        server.stderr.clear()
        s.send("last").close(code, reason)
        assert s.receive() == "last"
        assert s.closed() == answer
        assert s.ended()
    server.wait_for(f"^closes: {answer[0]} {reason!r}$")


# spec: websocket 5
@pytest.mark.parametrize("how", ["close", "reset", "finish_sending"])
def test_the_connection_ends_without_a_close(server: Server, how: str) -> None:
    with WebSocket(server, f"/echo?note=breaks-{how}") as s:
        assert s.send("a").receive() == "a"
        getattr(s.connection, how)()
        server.wait_for(f"^breaks-{how}: 1006 ''$")


# spec: websocket 5
def test_what_came_before_a_broken_connection_is_received(server: Server) -> None:
    with WebSocket(server, "/slow?note=before&gate=before") as s:
        for _ in range(20):
            s.send("0123456789")
        s.raw(frame(TEXT, b"half", fin=False))
        s.connection.finish_sending()
        fetch(server, "/open?gate=before")
        server.wait_for("^before: 1006 ''$")
    assert fetch(server, "/count?note=before").text == "20"


# spec: websocket 5
def test_sending_to_a_client_that_is_gone(server: Server) -> None:
    with WebSocket(server, "/after?note=gone") as s:
        s.close(4001, "had enough")
        assert s.closed() == (4001, "")
    server.wait_for("^gone: 4001 'had enough'$")
    server.wait_for("^gone: ClientDisconnected is an OSError$")
    server.wait_for("^gone: again 4001 'had enough'$")


# spec: websocket 5
def test_an_application_that_returns(server: Server) -> None:
    with WebSocket(server, "/quit") as s:
        assert s.receive() == "bye"
        assert s.closed() == (1000, "")
        s.close(1000)
        assert s.ended()


# spec: websocket 5
def test_an_application_that_raises(server: Server) -> None:
    server.stderr.clear()
    with WebSocket(server, "/fail") as s:
        assert s.receive() == "bye"
        assert s.closed() == (1011, "")
        s.close(1011)
        assert s.ended()
    server.wait_for("RuntimeError: after the handshake")


# spec: websocket 5
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1008, "policy"), (4000, "é" * 61), (4999, "x" * 123)])
def test_the_application_closes(server: Server, code: int, reason: str) -> None:
    server.stderr.clear()
    with WebSocket(server, f"/close?note=app-closes&code={code}&reason={reason.replace('é', '%C3%A9')}") as s:
        assert s.receive() == "last"
        assert s.closed() == (code, reason)
        s.send("too late").raw(frame(PING, b"?"))  # dropped: a closed side sends nothing more
        s.close(code)
        assert s.ended()
    server.wait_for("^app-closes: RuntimeError$")
    server.wait_for(f"^app-closes: websocket.disconnect {code} {reason!r}$")


# spec: websocket 5
# spec: websocket 1
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (b"\x81\x01a", 1002),  # not masked
        (frame(3, b""), 1002),
        (frame(TEXT, b"a", packed=True), 1002),
        (frame(0, b"a"), 1002),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
        (frame(PING, b"a" * 126), 1002),
        (frame(CLOSE, b"1"), 1002),
        (frame(CLOSE, struct.pack("!H", 1005)), 1002),
        (frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xe2\x82", fin=False) + frame(0, b"\x61"), 1007),
    ],
)
def test_the_client_breaks_a_rule(server: Server, wrong: bytes, code: int) -> None:
    server.stderr.clear()
    with WebSocket(server, "/echo?note=rule") as s:
        s.send("first").raw(wrong, frame(TEXT, b"never"))
        assert s.receive() == "first"
        assert s.closed()[0] == code
        assert s.ended()
    server.wait_for(f"^rule: {code} ")


# spec: websocket 1
def test_control_frames_between_fragments(server: Server) -> None:
    with WebSocket(server, "/echo?note=control") as s:
        s.raw(frame(TEXT, b"one ", fin=False), frame(PING, b"are you there?"), frame(0, b"two ", fin=False))
        s.raw(frame(PONG, b"unasked"), frame(0, b"three"))
        found = s.frame()
        assert (found.opcode, found.payload) == (PONG, b"are you there?")
        assert s.receive() == "one two three"


@pytest.fixture(scope="module")
def small(start_server: StartServer) -> Server:
    return start_server("app:app", HERE, "--no-access-log", "--ws-max-size", "100000")


# spec: websocket 3
@pytest.mark.parametrize(
    ("frames", "fits"),
    [
        ([frame(BINARY, bytes(100_000))], True),
        ([frame(BINARY, bytes(100_001))], False),
        ([frame(BINARY, b"", length=1 << 40)], False),  # said, never sent
        ([frame(BINARY, b"", length=(1 << 63) - 1)], False),
        ([frame(BINARY, bytes(60_000), fin=False), frame(0, bytes(40_000))], True),
        ([frame(BINARY, bytes(60_000), fin=False), frame(0, b"", length=40_001)], False),
        ([frame(TEXT, b"a" * 1000, fin=False), *[frame(0, b"a" * 1000, fin=False)] * 99, frame(0, b"a")], False),
    ],
)
def test_a_message_that_is_too_large(small: Server, frames: list[bytes], fits: bool) -> None:
    small.stderr.clear()
    with WebSocket(small, "/echo?note=large") as s:
        s.raw(*frames)
        if fits:
            assert len(s.receive()) == 100_000
            s.close()
            assert s.closed() == (1000, "")
        else:
            assert s.closed()[0] == 1009
            assert s.ended()
    small.wait_for("^large: 1000 " if fits else "^large: 1009 ")
