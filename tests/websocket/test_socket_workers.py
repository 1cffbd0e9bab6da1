"""WebSockets and the lives of workers: stop, reload, recycling, a crash, and who gets the next one."""

import os
import re
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import Server, StartServer, alive, eventually, family
from rawhttp import Connection, fetch
from rawsocket import CLOSE, PING, WebSocket, frame, handshake

HERE = Path(__file__).parent
RESTART = (1012, "service restart")


def opened(stack: ExitStack, server: Server, n: int, target: str = "/echo") -> list[WebSocket]:
    found = []
    for i in range(n):
        s = stack.enter_context(WebSocket(server, f"{target}?note=s{i}"))
        assert s.send("in").receive() == "in"
        found.append(s)
    return found


# spec: websocket 7
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("answers", [True, False])
def test_stop(run: StartServer, workers: int, answers: bool) -> None:
    server = run("--workers", str(workers))
    with ExitStack() as stack:
        sockets = opened(stack, server, 6)
        server.process.send_signal(signal.SIGTERM)
        for s in sockets:
            assert s.closed() == RESTART
            if answers:
                s.close(1012)
                assert s.ended()
        assert server.wait(8) == 0  # a client that does not answer has a second
    said = server.stderr.text()
    assert "the grace is over" not in said
    for i in range(6):
        assert f"s{i}: 1012 'service restart'" in said
    assert said.count("lifespan: shutdown") == workers
    if workers == 1:
        assert said.rindex("1012") < said.index("lifespan: shutdown")
    assert "killed" not in said


# spec: websocket 7
def test_an_application_that_does_not_leave_at_stop(run: StartServer) -> None:
    server = run("--timeout-graceful-shutdown", "1")
    with WebSocket(server, "/slow?note=stays&gate=never") as s:
        server.wait_for("stays: accepted")
        server.process.send_signal(signal.SIGTERM)
        assert s.closed() == RESTART
        server.wait(8)


# spec: websocket 7
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_one_that_is_accepted_when_its_worker_is_about_to_go(run: StartServer, number: signal.Signals) -> None:
    server = run("--timeout-graceful-shutdown", "5")
    with Connection(server) as connection, Connection(server) as opener:
        connection.send(handshake("/late?note=late&gate=go"))
        server.wait_for("late: waits")
        opener.send("POST /open?gate=go HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        assert opener.head().status == 100  # it runs in the same worker, which waits for its body
        server.process.send_signal(number)
        server.wait_for("stopping" if number == signal.SIGTERM else "reloaded after=")
        assert opener.send("go").response().status == 200
        assert connection.head().status == 101
        assert connection.read(19) == b"\x88\x11\x03\xf4service restart"
        connection.send(frame(CLOSE, b"\x03\xf4"))
        assert connection.ends()
        server.wait_for("late: 1012 'service restart'")
    assert (server.wait() if number == signal.SIGTERM else server.stop()) == 0
    assert "killed" not in server.stderr.text()


# spec: websocket 7
@pytest.mark.parametrize("workers", [1, 2])
def test_reload(run: StartServer, workers: int) -> None:
    server = run("--workers", str(workers))
    with ExitStack() as stack:
        sockets = opened(stack, server, 4, "/echo")
        server.process.send_signal(signal.SIGHUP)
        for s in sockets:
            assert s.closed() == RESTART
            s.close(1012)
            assert s.ended()
        server.wait_for("reloaded after=")
        for i in range(4):
            server.wait_for(f"s{i}: 1012 'service restart'")
        opened(stack, server, 2)
    assert server.stop() == 0
    assert "killed" not in server.stderr.text()


def test_a_reload_with_many(run: StartServer) -> None:
    """All are told, the mute ones hold up neither workers nor the reload, and whoever comes again reaches a new worker."""
    server = run("--workers", "2", "--reactors", "2")
    with ExitStack() as stack:
        sockets = [stack.enter_context(WebSocket(server, "/pid?note=many")) for _ in range(400)]
        old = {s.receive() for s in sockets}
        assert len(old) == 2
        server.process.send_signal(signal.SIGHUP)
        for n, s in enumerate(sockets):
            assert s.closed() == RESTART
            if n % 2:
                s.close(1012)
                assert s.ended()
                again = stack.enter_context(WebSocket(server, "/pid"))
                assert again.receive() not in old
                assert again.send("here").receive() == "here"
        server.wait_for("reloaded after=")
        eventually(lambda: not any(alive(int(str(pid))) for pid in old))
    said = server.stderr.text()
    assert said.count("many: 1012 'service restart'") == 400
    assert said.count("lifespan: shutdown") == 2
    assert server.stop() == 0
    assert "killed" not in server.stderr.text()


# spec: websocket 7
@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--max-requests", "10", "--max-requests-jitter", "0"), "10 requests"),
        (("--workers-lifetime", "0.5"), "its lifetime"),
        (("--workers-max-rss", "200MiB"), r"\d+ MiB of memory"),
    ],
    ids=["requests", "lifetime", "memory"],
)
def test_recycling(run: StartServer, options: tuple[str, ...], why: str) -> None:
    """A WebSocket is one request; what comes on it wears nothing."""
    server = run(*options)
    with ExitStack() as stack:
        s = stack.enter_context(WebSocket(server, "/pid?note=s0"))
        first = str(s.receive())
        if options[0] == "--max-requests":
            for _ in range(30):
                assert s.send("a").receive() == "a"
            for _ in range(9):
                assert fetch(server, "/pid").text == first
        elif options[0] == "--workers-max-rss":
            assert fetch(server, "/grow?bytes=250000000").text == first
        assert s.closed() == RESTART
        assert fetch(server, "/pid").text != first  # the new one was ready before
        s.close(1012)
        assert s.ended()
        server.wait_for("s0: 1012 'service restart'")
        server.wait_for(f'a worker is replaced worker=worker-1 pid={first} after="{why}"')
        eventually(lambda: not alive(int(first)))
    assert server.stop() == 0
    assert "killed" not in server.stderr.text()


# spec: websocket 5
@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_is_killed(run: StartServer, workers: int) -> None:
    server = run("--workers", str(workers))
    with ExitStack() as stack:
        sockets = [stack.enter_context(WebSocket(server, "/pid")) for _ in range(6)]
        pids = [str(s.receive()) for s in sockets]
        os.kill(int(pids[0]), signal.SIGKILL)
        for s, pid in zip(sockets, pids, strict=True):
            if pid == pids[0]:
                assert s.closed()[0] == 1011
                s.close(1011)
                assert s.ended()
            else:
                assert s.send("still here").receive() == "still here"
        eventually(lambda: len(family(server.pid)) == 1 + workers and fetch(server, "/hello").status == 200)
        opened(stack, server, 2)
    assert server.stop() == 0


def test_several_workers_share_them_evenly(run: StartServer) -> None:
    server = run("--workers", "2")
    with ExitStack() as stack:
        sockets = [stack.enter_context(WebSocket(server, "/pid")) for _ in range(40)]
        shares = Counter(s.receive() for s in sockets)
        assert sorted(shares.values()) == [20, 20]
    assert server.stop() == 0


def test_accepted_ones_do_not_count_as_requests_at_once(run: StartServer) -> None:
    server = run("--limit-concurrency", "2")
    with ExitStack() as stack:
        sockets = opened(stack, server, 20)
        with Connection(server) as a, Connection(server) as b:
            assert a.get("/hello").text == b.get("/hello").text == "hello"
        for s in sockets:
            assert s.send("still").receive() == "still"
            s.close()
            assert s.closed() == (1000, "")
        assert fetch(server, "/hello").text == "hello"
    assert server.stop() == 0


def test_an_idle_one_is_not_a_request_that_takes_too_long(run: StartServer) -> None:
    """--timeout-request, --timeout-keep-alive and --timeout-body end at the handshake; the access log has it with 101."""
    timeouts = [word for name in ("request", "keep-alive", "body") for word in (f"--timeout-{name}", "0.3")]
    server = run(*timeouts, "--ws-ping-interval", "1", "--access-log")
    with WebSocket(server, "/echo") as s:
        assert s.frame().opcode == PING
        assert s.send("a").receive() == "a"
        s.close()
        assert s.closed() == (1000, "")
    assert server.stop() == 0
    assert re.search(r'"GET /echo[^"]*" 101 ', server.stdout.text()), server.stdout.text()
