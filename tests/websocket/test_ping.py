"""Pings by the server: clients that are gone are found, and Python has nothing to do with it."""

import json
import re
from pathlib import Path

import pytest

from harness import Server, StartServer, family
from rawhttp import fetch
from rawsocket import PING, PONG, TEXT, WebSocket, frame

OPTIONS = ("--ws-ping-interval", "0.2", "--ws-ping-timeout", "0.4")


def switches(server: Server) -> int:
    """How often a thread of the worker has waited and gone on."""
    _, worker = family(server.pid)
    said = [(task / "status").read_text() for task in Path(f"/proc/{worker}/task").iterdir()]
    return sum(int(n) for text in said for n in re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M))


# spec: websocket 6
def test_a_client_that_answers_stays_and_python_sleeps(run: StartServer) -> None:
    server = run(*OPTIONS)
    with WebSocket(server, "/echo?note=alive") as s:
        assert s.send("a").receive() == "a"
        assert s.frame().opcode == PING
        s.raw(frame(PONG))
        before = switches(server)
        for _ in range(8):
            found = s.frame()
            assert found.opcode == PING
            s.raw(frame(PONG, found.payload))
        woken = switches(server) - before
        assert woken <= 4, f"{woken} times in 8 pings"  # it looks after itself once a second
        assert s.send("b").receive() == "b"
        s.close()
        assert s.closed() == (1000, "")
    server.wait_for("alive: 1000 ''")
    assert server.stop() == 0


# spec: websocket 6
@pytest.mark.parametrize("timeout", ["0", "20"])
def test_the_interval_holds_whatever_the_time_for_answers(run: StartServer, timeout: str) -> None:
    server = run("--ws-ping-interval", "0.2", "--ws-ping-timeout", timeout)
    with WebSocket(server, "/echo", timeout=5) as s:
        for _ in range(4):
            assert s.frame().opcode == PING
            s.raw(frame(PONG))
        s.close()
        assert s.closed() == (1000, "")
    assert server.stop() == 0


# spec: websocket 6
def test_a_client_that_does_not_answer(run: StartServer) -> None:
    server = run(*OPTIONS)
    with WebSocket(server, "/echo?note=silent") as s:
        assert s.frame().opcode == PING
        assert s.ended()
    server.wait_for("silent: 1006 ")
    assert server.stop() == 0


# spec: websocket 6
def test_a_client_that_is_sent_to_and_does_not_answer(run: StartServer) -> None:
    """What the application sends is no sign of life of the client."""
    server = run(*OPTIONS)
    with WebSocket(server, "/tick?note=sent-to") as s:
        pings = 0
        try:
            while True:
                pings += s.frame().opcode == PING
        except (EOFError, ConnectionResetError):
            pass
        assert pings == 1
    server.wait_for("sent-to: 1006 ")
    assert server.stop() == 0


# spec: websocket 6
def test_whatever_a_client_sends_is_a_sign_of_life(run: StartServer) -> None:
    server = run(*OPTIONS)
    with WebSocket(server, "/echo?note=talks") as s:
        for n in range(6):
            assert s.frame().opcode == PING
            s.raw(frame(TEXT, str(n).encode(), fin=False) if n == 0 else frame(0, str(n).encode(), fin=n == 5))
        assert s.receive() == "012345"
    assert server.stop() == 0


# spec: websocket 6
def test_a_client_whose_application_does_not_receive_is_not_taken_for_dead(run: StartServer) -> None:
    server = run(*OPTIONS)
    with WebSocket(server, "/slow?note=full&gate=full", timeout=1) as s:
        server.wait_for("full: accepted")
        for _ in range(40):  # more than may wait, by number and by size
            s.send(b"0" * 10_000)
        for _ in range(5):
            assert s.frame().opcode == PING  # it answers behind its messages, where nobody reads
            s.raw(frame(PONG))
        fetch(server, "/open?gate=full")
        s.send("end")
        while (found := s.frame()).opcode == PING:
            pass
        assert json.loads(found.payload) == [41, 400_003]
    assert server.stop() == 0


# spec: websocket 6
def test_never(run: StartServer) -> None:
    server = run("--ws-ping-interval", "0", "--ws-ping-timeout", "0.2", "--timeout-keep-alive", "0.2")
    with WebSocket(server, "/echo", timeout=1.5) as s:
        try:
            found = s.frame()
        except TimeoutError:
            found = None
        assert found is None
        assert s.send("still here").receive() == "still here"
    assert server.stop() == 0
