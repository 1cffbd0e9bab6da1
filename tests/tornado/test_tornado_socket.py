"""WebSockets of a Tornado application."""

import json
from uuid import uuid4

import httpx
import pytest

from gates import PIECES, counted, open_gate, settled
from harness import Server, StartServer
from rawhttp import Connection
from rawsocket import CLOSE, PING, PONG, WebSocket, frame, handshake


@pytest.fixture
def name() -> str:
    return uuid4().hex


# spec: jobs 6
@pytest.mark.parametrize(
    "message", ["", "text: ü", b"", b"\x00\xff", "x" * 125, "x" * 126, b"y" * 65_535, b"y" * 65_536, "z" * 1_000_000]
)
def test_messages(server: Server, name: str, message: str | bytes) -> None:
    with WebSocket(server, f"/echo/{name}") as s:
        for _ in range(2):
            assert s.send(message).receive() == message


# spec: jobs 6
def test_early_messages_keep_their_order(server: Server, name: str) -> None:
    early = b"".join(frame(1, str(n).encode()) for n in range(50))
    with WebSocket(server, f"/echo/{name}", early) as s:
        assert [s.receive() for _ in range(50)] == [str(n) for n in range(50)]


# spec: jobs 6
def test_the_handshake(server: Server) -> None:
    with WebSocket(
        server, "/echo/greets", sec_websocket_protocol="x, chat", sec_websocket_extensions="permessage-deflate"
    ) as s:
        assert s.answer["sec-websocket-protocol"] == "chat"
        assert s.answer["sec-websocket-extensions"].startswith("permessage-deflate")
        assert s.answer["x-prepared"] == "yes"
        assert len(s.answer.values("date")) == len(s.answer.values("server")) == 1
        assert json.loads(s.receive()) == {"hello": "chat"}
    with WebSocket(server, "/echo/greets", sec_websocket_protocol="x") as s:
        assert "sec-websocket-protocol" not in s.answer
        assert json.loads(s.receive()) == {"hello": None}


# spec: jobs 6
def test_what_is_no_socket(server: Server) -> None:
    with Connection(server) as c:
        answer = c.send(handshake("/echo/x", origin="http://elsewhere.test")).response()
        assert (answer.status, answer.text) == (403, "Cross origin websockets not allowed")
    with Connection(server) as c:
        answer = c.send(handshake("/status?code=418&reason=Teapot")).response()
        assert (answer.status, answer.reason) == (418, "Teapot")
    with Connection(server) as c:
        assert c.send(handshake("/nowhere")).response().status == 404
    assert httpx.get(f"{server.url}/echo/x").text == 'Can "Upgrade" only to "WebSocket".'


# spec: jobs 6
@pytest.mark.parametrize(
    ("code", "reason", "heard"),
    [(1000, "", "1000 None"), (4000, "bye ü", "4000 'bye ü'"), (None, "", "None None")],
)
def test_the_client_closes(server: Server, name: str, code: int | None, reason: str, heard: str) -> None:
    with WebSocket(server, f"/echo/{name}") as s:
        s.send("last").close(code, reason)
        assert s.receive() == "last"
        assert s.closed()[0] == (code or 1005)
    server.wait_for(f"^{name}: on_close {heard}$")
    server.wait_for(f"^{name}: can't be written to$")


# spec: jobs 6
def test_the_connection_breaks(server: Server, name: str) -> None:
    with WebSocket(server, f"/echo/{name}") as s:
        assert s.send("a").receive() == "a"
    server.wait_for(f"^{name}: on_close None None$")


# spec: jobs 6
@pytest.mark.parametrize(
    ("message", "closed", "heard"),
    [
        ("close", (4001, "enough"), "4001 None"),
        ("close without a code", (1000, ""), "1000 None"),
        ("fail", (1011, ""), "None None"),
        ("abort", (1011, ""), "None None"),
    ],
)
def test_the_handler_closes(server: Server, name: str, message: str, closed: tuple[int, str], heard: str) -> None:
    with WebSocket(server, f"/echo/{name}") as s:
        assert s.send(message).closed() == closed
        s.close(closed[0])
    server.wait_for(f"^{name}: on_close {heard}$")


# spec: jobs 6
def test_open_may_fail(server: Server) -> None:
    with WebSocket(server, "/echo/fails") as s:
        assert s.closed()[0] == 1011
    server.wait_for("RuntimeError: in open")


# spec: jobs 6
def test_a_client_that_leaves_before_it_is_accepted(server: Server, name: str) -> None:
    with Connection(server) as c:
        c.send(handshake(f"/slow/{name}"))
        server.wait_for(f"^{name}: prepares$")
    server.wait_for(f"^{name}: closed before it was open$")
    open_gate(server, name)


# spec: jobs 6
def test_pings(server: Server, name: str) -> None:
    with WebSocket(server, f"/echo/{name}") as s:
        for _ in range(2):
            asked = s.send("ping").frame()
            assert (asked.opcode, asked.payload) == (PING, b"data")
            assert s.raw(frame(PONG, asked.payload)).receive() == b"pong data"
        answer = s.raw(frame(PING, b"mine")).frame()
        assert (answer.opcode, answer.payload) == (PONG, b"mine")
        assert s.receive() == b"ping mine"
    with WebSocket(server, "/pinging") as s:
        for _ in range(3):
            assert s.frame().opcode == PING
            assert s.raw(frame(PONG)).receive() == "alive"
        while (found := s.frame()).opcode == PING:  # it is not answered any more
            pass
        assert (found.opcode, found.payload[2:]) == (CLOSE, b"ping timed out")


# spec: jobs 6
def test_a_message_over_the_limit(server: Server, name: str) -> None:
    with WebSocket(server, f"/limited/{name}") as s:
        assert s.send("x" * 1000).receive() == "x" * 1000
        assert s.send("x" * 1001).closed() == (1009, "message too big")


# spec: jobs 6
def test_on_message_holds_back_the_next(server: Server, name: str) -> None:
    with WebSocket(server, f"/echo/{name}") as s:
        s.send("hold").send("hold").send("after")
        assert settled(server, name) == 1
        open_gate(server, name)
        assert s.receive() == "after"
    assert counted(server, name) == 2


# spec: jobs 6
def test_write_message_waits_for_a_slow_client(server: Server, name: str) -> None:
    with WebSocket(server, f"/flood/{name}") as s:
        assert settled(server, name) < PIECES / 2
        for _ in range(PIECES):
            assert len(s.receive()) == 1 << 16


# spec: jobs 6
def test_a_stop_closes_with_1012(run: StartServer, name: str) -> None:
    server = run()
    with WebSocket(server, f"/echo/{name}") as s:
        assert s.send("a").receive() == "a"
        server.process.terminate()
        assert s.closed()[0] == 1012
        s.close(1012)
    assert server.wait() == 0
    server.wait_for(f"^{name}: on_close 1012 ")
