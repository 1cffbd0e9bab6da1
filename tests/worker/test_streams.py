"""TCP connections and mail sessions: what the worker writes, and what is left lying about."""

from __future__ import annotations

import asyncio
import json
import random

import pytest
from sockets import BINARY, TEXT, WINDOW, Socket

NAMES = ["echo", "large", "raises", "aborts", "exactly", "hazards", "collects", "self_await", "mail", "ordered", "secures"]


@pytest.fixture
def worker(start, loop):
    targets = [{"kind": "tcp", "target": f"streams:{name}"} for name in NAMES]
    return start("", loop=loop, targets=targets).ready()


def connect(worker, name: str, **changes) -> Socket:
    kind = 5 if name == "mail" else 3
    stream = Socket(worker, "", kind=kind, flags=0, target=NAMES.index(name) + 1, **changes)
    return stream.accepted()


def line(stream: Socket) -> str:
    frame = stream.next("MESSAGE", "WINDOW")
    while frame["type"] == "WINDOW":
        frame = stream.next("MESSAGE", "WINDOW")
    assert (frame["aux"], frame["flags"]) == (BINARY, 0)
    stream.stream.window(frame["length"])
    return frame["body"]


def test_lines_and_the_end(worker):
    # spec: jobs 1
    stream = connect(worker, "echo")
    assert (stream.acceptance["fields"], stream.acceptance["subprotocol"]) == ([], "")
    stream.send(b"one\ntwo\nthr")
    assert (line(stream), line(stream)) == ("one\n", "two\n")
    stream.send(b"ee\nlast")
    assert line(stream) == "three\n"
    stream.stream.end()
    assert line(stream) == "last"
    assert stream.closed() == (1000, "")


def test_bytes_go_in_frames_of_their_own_as_far_as_credit_goes(worker):
    stream = connect(worker, "large", credit=30_000)
    sizes = []
    while sum(sizes) < 100_000:
        frame = stream.next("MESSAGE")
        assert frame["flags"] == 0
        sizes.append(frame["length"])
        if sum(sizes) == 30_000:
            stream.stream.window(100_000)
    assert stream.next("END")["fields"] == []
    stream.stream.end()
    assert stream.closed() == (1000, "")


def test_a_handler_that_raises_is_a_reset_and_one_line(worker):
    frame = connect(worker, "raises").next("RESET")
    assert (frame["aux"], frame["body"]) == (1, "RuntimeError")
    assert worker.output().count("exception in TCP handler") == 1


def test_abort_is_a_reset_without_a_reason(worker):
    assert connect(worker, "aborts").next("RESET")["aux"] == 0
    assert "exception" not in worker.output()


def test_what_a_read_gathers_is_granted_at_once(worker):
    # spec: jobs 1
    stream = connect(worker, "exactly")
    left, credit = 200_000, WINDOW
    while left:
        n = min(left, credit, 10_000)
        stream.send(bytes(n))
        left, credit = left - n, credit - n
        if left and credit < 10_000:
            credit += stream.next("WINDOW")["length"]
    assert line(stream) == "200000"
    assert stream.closed() == (1000, "")


def test_what_is_left_lying_about(worker):
    for _ in range(5):
        stream = connect(worker, "hazards")
        stream.send(b"a line\n")
        assert line(stream) == "a line\n"
        stream.close(1006)
        other = connect(worker, "collects")
        assert line(other) == "collected"
        assert other.closed() == (1000, "")
    assert "Error" not in worker.output().replace("ConnectionResetError", "")
    assert worker.stop() == 0


def test_an_awaitable_is_awaited_once(worker):
    stream = connect(worker, "self_await")
    stream.send(b"x\n")
    said = line(stream)
    assert "x\n" in said or line(stream) == "x\n"
    assert stream.closed() == (1000, "")


def test_a_client_that_is_gone_at_every_step(worker):
    for name in ("echo", "large", "exactly", "self_await"):
        stream = Socket(worker, "", kind=3, flags=0, target=NAMES.index(name) + 1)
        stream.stream.reset()
        stream = connect(worker, name)
        stream.send(b"half a line")
        stream.close(1006)
    assert worker.stop() == 0
    assert "Traceback" not in worker.output()


def test_a_target_that_is_not_there_is_refused(worker):
    stream = Socket(worker, "", kind=3, flags=0, target=len(NAMES) + 1)
    assert stream.next("RESET")["aux"] == 4


def test_mail_sessions_carry_text_and_bytes(worker):
    stream = connect(worker, "mail")
    stream.send("hello")
    assert stream.receive() == repr({"type": "smtp.receive", "text": "hello"})
    stream.send(b"data", part=2)
    assert stream.receive() == repr({"type": "smtp.receive", "bytes": b"data"})
    stream.send("bad")
    stream.receive()
    assert stream.closed() == (1011, "")
    assert "TypeError: text of smtp.send must be a str, not bytes" in worker.output()


def orders(dice: random.Random) -> list[tuple[str, int | str]]:
    """Reads of every kind."""
    made: list[tuple[str, int | str]] = []
    for _ in range(dice.randrange(1, 12)):
        kind = dice.choice(["exactly", "until", "line", "some"])
        size = dice.choice([0, 1, 2, dice.randrange(100), dice.randrange(70_000)])
        made.append((kind, dice.choice(["a", "ab", "aab", "abaab\n", "\n\n"]) if kind == "until" else size))
    return made


async def read(reader: asyncio.StreamReader, name: str, argument: int | str, got: bytes) -> tuple[bytes, str]:
    """What asyncio makes of it. How much read(n) gives is for whoever gives it to say."""
    try:
        if name == "some":
            return await reader.readexactly(len(got)) if len(got) <= int(argument) else b"too much", ""
        if name == "line":
            return await reader.readline(), ""
        if name == "until":
            return await reader.readuntil(str(argument).encode()), ""
        return await reader.readexactly(int(argument)), ""
    except asyncio.IncompleteReadError as error:
        return error.partial, "incomplete"


# spec: jobs 1
@pytest.mark.parametrize("seed", range(40))
def test_reads_are_asyncios_whatever_the_pieces(worker, seed):
    dice = random.Random(seed)
    data = bytes(dice.choices(b"aab\n", (9, 9, 9, dice.choice([1, 9])), k=dice.choice([10, 1000, 60_000])))
    asked = orders(dice)
    stream = connect(worker, "ordered", credit=1 << 24)
    stream.send(json.dumps(asked).encode() + b"\n")
    sent, credit = 0, 40_000
    while sent < len(data):
        n = dice.choice([1, 7, dice.randrange(1, 500), dice.randrange(1, 20_000)])
        stream.send(data[sent : sent + n])
        sent, credit = sent + n, credit - max(n, 64)
        if credit < 20_000 and sent < len(data):
            break
    stream.stream.end()
    data = data[:sent]

    async def compare() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        for name, argument in asked:
            said = line(stream)
            while not said.endswith("\n"):
                said += line(stream)
            body, outcome = json.loads(said)
            assert (bytes.fromhex(body), outcome) == await read(reader, name, argument, bytes.fromhex(body)), (name, argument)
            if name == "some" and argument and not body:
                assert reader.at_eof()

    asyncio.run(compare())
    assert stream.closed() == (1000, "")


TLS = json.dumps(
    {"tls_version": 0x0304, "cipher_suite": 0x1301, "cipher_name": "TLS_AES_128_GCM_SHA256", "client_cert_name": "CN=ann"}
)


def text(stream: Socket) -> str:
    frame = stream.next("MESSAGE", "WINDOW")
    while frame["type"] == "WINDOW":
        frame = stream.next("MESSAGE", "WINDOW")
    assert (frame["aux"], frame["flags"]) == (TEXT, 0)
    stream.stream.window(frame["length"])
    return frame["body"]


def test_a_connection_in_tls_says_so(worker):
    # spec: jobs 1
    stream = connect(worker, "secures", scheme=1, extra=[[4, TLS]])
    stream.send(b"what\n")
    assert line(stream) == repr(("('TLS_AES_128_GCM_SHA256', 'TLSv1.3', 128)", "CN=ann")) + "\n"


def test_start_tls_gives_back_what_was_not_read(worker):
    # spec: jobs 1
    stream = connect(worker, "secures")
    stream.send(b"tls\nunread, ")
    assert text(stream) == ""
    stream.send(b"and on its way")
    stream.send("")
    assert text(stream) == "unread, and on its way"
    assert text(stream) == ""
    stream.send(TLS)
    stream.send(b"what\n")
    assert line(stream) == repr(("('TLS_AES_128_GCM_SHA256', 'TLSv1.3', 128)", "CN=ann")) + "\n"
    stream.send(b"tls\n")
    assert text(stream) == ""
    stream.send("not twice")
    assert line(stream) == "RuntimeError('not twice')\n"
    stream.stream.end()
    assert stream.closed() == (1000, "")


def test_what_start_tls_gives_back_may_be_longer_than_the_credit(worker):
    stream = connect(worker, "secures", credit=10)
    stream.send(b"tls\n" + bytes(range(32, 127)) * 20)
    assert text(stream) == ""
    stream.send("")
    back = ""
    while part := text(stream):
        back += part
    assert back.encode() == bytes(range(32, 127)) * 20


@pytest.mark.parametrize("said", [0, 1, 2])
@pytest.mark.parametrize("end", ["CLOSE", "RESET"])
def test_start_tls_ends_with_the_connection(worker, said: int, end: str):
    stream = connect(worker, "secures")
    stream.send(b"tls\n")
    assert text(stream) == ""
    if said:
        stream.send("")
    if said > 1:
        assert text(stream) == ""
    stream.stream.send(end, aux=1006 if end == "CLOSE" else 0, body="")
    for _ in range(200):  # behind what the handler does now, which may take it some turns of its loop
        other = connect(worker, "echo")
        other.send(b"one\n")
        assert line(other) == "one\n"
        if "start_tls: " in worker.output():
            break
    assert worker.output().count("start_tls: ConnectionResetError") == 1


def test_a_text_that_nobody_has_asked_for_is_dropped(worker):
    stream = connect(worker, "echo")
    stream.send("surprise")
    stream.send(b"one\n")
    assert line(stream) == "one\n"
