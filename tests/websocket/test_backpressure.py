"""What is sent faster than it is taken waits where it is: in its sender."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness import Server, StartServer, eventually, family, resident
from rawhttp import fetch
from rawsocket import BINARY, TEXT, WebSocket, frame

MIB = 1 << 20


@contextmanager
def flat(server: Server, most: int = 24) -> Iterator[None]:
    """The memory of the server and of its worker does not grow by more than `most` MiB."""
    pids = family(server.pid)
    before = [resident(pid) for pid in pids]
    yield
    grown = [(resident(pid) - size) / MIB for pid, size in zip(pids, before, strict=True)]
    assert max(grown) < most, f"MiB: {grown}"


def count(server: Server, note: str) -> int:
    return int(fetch(server, f"/count?note={note}").text)


def settled(look: Callable[[], int]) -> int:
    """What look gives once it has given the same for half a second."""
    last, same = look(), 0
    while same < 10:
        threading.Event().wait(0.05)
        now = look()
        last, same = now, same + 1 if now == last else 0
    return last


def pushed(s: WebSocket, block: bytes, most: int) -> int:
    """Sends block again and again until nobody takes more for half a second, or `most` bytes were sent; how many."""
    s.socket.setblocking(False)
    sent = 0

    def push() -> int:
        nonlocal sent
        try:
            while sent < most:
                at = sent % len(block)
                sent += s.socket.send(block[at:])
        except BlockingIOError:
            pass
        return sent

    settled(push)
    s.socket.settimeout(20)
    return sent


# spec: websocket 3
def test_an_application_that_does_not_receive_pauses_its_client(server: Server) -> None:
    message = frame(BINARY, bytes(10_000))
    with WebSocket(server, "/slow?note=slow&gate=slow") as s:
        server.wait_for("slow: accepted")
        with flat(server):
            sent = pushed(s, message * 100, 512 * MIB)
            assert sent < 32 * MIB  # what the kernel's buffers hold
            assert fetch(server, "/hello").text == "hello"
        assert count(server, "slow") == 0
        fetch(server, "/open?gate=slow")
        s.raw(message[sent % len(message) :], frame(TEXT, b"end"))
        whole = sent // len(message) + 1
        assert json.loads(s.receive()) == [whole + 1, whole * 10_000 + 3]


# spec: websocket 3
def test_small_messages_count_too(server: Server) -> None:
    """No more than --ws-max-queue of them wait in the worker; memory is that of the kernel's buffers."""
    message = frame(TEXT, b"")
    with WebSocket(server, "/slow?note=tiny&gate=tiny") as s:
        server.wait_for("tiny: accepted")
        with flat(server):
            sent = pushed(s, message * 1000, 64 * MIB)
            assert sent < 32 * MIB
        fetch(server, "/open?gate=tiny")
        s.raw(message[sent % len(message) :], frame(TEXT, b"end"))
        whole = sent // len(message) + 1
        assert json.loads(s.receive()) == [whole + 1, 3]


# spec: websocket 3
def test_a_paused_client_that_leaves(server: Server) -> None:
    """Its messages are in the server, and in the kernel, and its application does not ask: it hears of it in the end."""
    with WebSocket(server, "/slow?note=paused&gate=paused") as s:
        server.wait_for("paused: accepted")
        pushed(s, frame(BINARY, bytes(10_000)) * 10, 4 * MIB)
        s.connection.reset()
    fetch(server, "/open?gate=paused")
    server.wait_for("paused: 1006 ''")


# spec: websocket 3
def test_a_message_larger_than_every_window(server: Server) -> None:
    body = bytes(range(256)) * 4096 * 15  # 15 MiB
    with WebSocket(server, "/echo") as s:
        received: list[str | bytes] = []
        reader = threading.Thread(target=lambda: received.append(s.receive()))
        reader.start()
        s.send(body)
        reader.join(20)
        assert received == [body]


# spec: websocket 3
def test_a_client_that_does_not_read_pauses_its_application(server: Server) -> None:
    messages, size = 4000, 100_000
    with WebSocket(server, f"/pour?note=pour&messages={messages}&size={size}") as s, flat(server):
        paused = settled(lambda: count(server, "pour"))
        assert 0 < paused < 32 * MIB // size
        for n in range(messages):
            got = s.receive()
            assert isinstance(got, bytes)
            assert int.from_bytes(got[:4]) == n
            assert len(got) == size + 4
        eventually(lambda: count(server, "pour") == messages)


# spec: websocket 3
def test_a_client_that_does_not_read_what_it_is_echoed(server: Server) -> None:
    message = frame(BINARY, bytes(50_000))
    with WebSocket(server, "/echo?note=loop") as s, flat(server):
        sent = pushed(s, message * 20, 512 * MIB)
        assert sent < 64 * MIB
        received = sum(len(s.receive()) for _ in range(sent // len(message)))
        assert received == sent // len(message) * 50_000


# spec: websocket 3
def test_a_deadline_for_clients_that_take_nothing(run: StartServer) -> None:
    server = run("--timeout-send", "1")
    with WebSocket(server, "/pour?note=stuck&messages=4000&size=100000"):
        server.wait_for("stuck: ClientDisconnected")
        server.wait_for("stuck: 1006 ''")
    assert server.stop() == 0
