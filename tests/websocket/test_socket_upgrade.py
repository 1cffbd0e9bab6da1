"""SIGUSR2: WebSockets stay with the old process until they close or the grace ends; new ones reach the new process."""

import signal
import time
from contextlib import ExitStack

from harness import Server, StartServer, family
from rawhttp import Connection
from rawsocket import TEXT, WebSocket, frame, handshake
from upgrades import Upgrades

RESTART = (1012, "service restart")
REPLACED = "replaced; finishing what runs"


def opened(stack: ExitStack, server: Server, n: int, target: str = "/pid") -> tuple[list[WebSocket], set[int]]:
    """So many WebSockets, and the workers that have them."""
    sockets = [stack.enter_context(WebSocket(server, f"{target}?note=s{i}")) for i in range(n)]
    return sockets, {int(s.receive()) for s in sockets}


# spec: process 11
def test_they_go_on_in_the_old_process_and_new_ones_reach_the_new(run: StartServer, upgrades: Upgrades) -> None:
    server = run("--workers", "2", "--reactors", "2")
    with ExitStack() as stack:
        sockets, old = opened(stack, server, 12)
        idle = stack.enter_context(Connection(server))
        assert idle.get("/hello").text == "hello"
        new = upgrades.begin(server)
        server.wait_for(REPLACED)
        more, workers = opened(stack, server, 4)
        assert old < set(family(server.pid))
        assert workers <= set(family(new))
        assert idle.ends()  # the time for idle connections is over, which is not theirs
        for n, s in enumerate(sockets):
            assert s.send(f"still {n}").receive() == f"still {n}"
        assert server.process.poll() is None
        for s in sockets:
            s.close(1000)
            assert s.closed() == (1000, "")
            assert s.ended()
        assert server.process.wait(5) == 0  # with the last of them
        for s in more:
            assert s.send("here").receive() == "here"
        assert "1012" not in server.stderr.text()


# spec: process 11
# spec: websocket 7
def test_those_that_are_open_when_the_grace_ends_are_closed(run: StartServer, upgrades: Upgrades) -> None:
    grace = 4
    server = run("--timeout-graceful-shutdown", str(grace))
    with ExitStack() as stack:
        sockets, _ = opened(stack, server, 6)
        begun = time.monotonic()
        upgrades.begin(server)
        server.wait_for(REPLACED)
        assert sockets[0].send("a").receive() == "a"
        for s in sockets:
            assert s.closed() == RESTART
        assert time.monotonic() - begun >= grace / 2
        for s in sockets[:3]:  # the others never answer
            s.close(1012)
            assert s.ended()
        assert server.process.wait(grace) == 0
    said = server.stderr.text()
    assert time.monotonic() - begun < grace + 5
    for i in range(6):
        assert f"s{i}: 1012 'service restart'" in said
    assert said.count("lifespan: shutdown") == 1  # of the old process
    assert said.rindex("1012") < said.index("lifespan: shutdown")
    assert "the grace is over" not in said
    assert "killed" not in said


# spec: process 11
def test_a_signal_ends_them_before(run: StartServer, upgrades: Upgrades) -> None:
    server = run()
    with ExitStack() as stack:
        (s,), _ = opened(stack, server, 1)
        new = upgrades.begin(server)
        server.wait_for(REPLACED)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("a signal is not heeded: the server ends signal=hangup")
        assert s.send("a").receive() == "a"
        server.process.send_signal(signal.SIGTERM)
        assert s.closed() == RESTART
        s.close(1012)
        assert s.ended()
        assert server.process.wait(5) == 0
        server.wait_for("s0: 1012 'service restart'")
        server.wait_for("lifespan: shutdown")
        opened(stack, server, 1)
    upgrades.end(new)


# spec: process 11
def test_one_that_is_accepted_after_the_upgrade_goes_on_too(run: StartServer, upgrades: Upgrades) -> None:
    """Its request came to the old process: before, or on a connection that it keeps for a while."""
    server = run()
    with Connection(server) as waiting, Connection(server) as kept, Connection(server) as other:
        waiting.send(handshake("/late?note=late&gate=go"))
        server.wait_for("late: waits")
        for connection in (kept, other):
            assert connection.get("/hello").text == "hello"
        upgrades.begin(server)
        server.wait_for(REPLACED)
        kept.send(handshake("/echo"))
        assert other.get("/open?gate=go").status == 200  # the gate is in the old process
        for connection in (waiting, kept):
            assert connection.head().status == 101
            connection.send(frame(TEXT, b"a"))
            assert connection.read(3) == b"\x81\x01a"
        server.process.send_signal(signal.SIGTERM)
        for connection in (waiting, kept):
            assert connection.read(19) == b"\x88\x11\x03\xf4service restart"
        assert server.process.wait(5) == 0  # though neither answers
