"""WebSockets and applications that do what they should not: they hurt themselves at most, and nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from fakeserver import PRELOAD, PYTHON_DIR
from frames import MORE, encode
from sockets import Socket
from test_receive import _log

ORDER = "RuntimeError: unexpected ASGI message"
OVER = "expected nothing, since the application has closed the connection"


@pytest.fixture
def worker(start, loop):
    return start("hazards:app", loop=loop).ready()


def drained(worker):
    """Everything has ended, as the worker sees it."""
    worker.command("drain")
    worker.message("drained")


def test_a_message_that_has_gone_out_was_sent(worker):
    """Though its client has closed before the task of send() comes to go on: then receive() tells of the end."""
    # spec: websocket 5
    socket = Socket(worker, "/big_then_receives", query="1000", credit=400).accepted()
    assert socket.next("MESSAGE")["length"] == 400
    both = [("WINDOW", {"length": 600}), ("CLOSE", {"aux": 1001, "body": "bye"})]
    socket.stream.link.write(
        *(encode({"stream": socket.stream.id, "type": type, "flags": 0, "aux": 0, **fields}) for type, fields in both)
    )
    assert socket.next("MESSAGE")["length"] == 600
    assert _log(worker, 2) == ["nothing raised", {"type": "websocket.disconnect", "code": 1001, "reason": "bye"}]


def test_one_awaitable_and_two_tasks(worker):
    """The second hears that; the first goes on undisturbed."""
    socket = Socket(worker, "/awaited_twice", credit=400).accepted()
    _log(worker, 1)
    socket.send("hello")
    assert socket.next("MESSAGE")["length"] == 400
    _log(worker, 3)
    socket.stream.window(600)
    received, sent = _log(worker, 4)[1::2]
    assert "hello" in received[0]
    assert sent[0] == "None"
    assert received[1] == sent[1] == "RuntimeError('this is being awaited already')"


def test_what_the_client_offers_is_what_it_offers(worker):
    """The list in the scope is the application's: whatever it makes of it."""
    # spec: websocket 4
    socket = Socket(worker, "/own_list", "one").accepted()
    assert socket.acceptance["subprotocol"] == "one"
    assert socket.receive() == "accepted"
    assert _log(worker, 1) == [" was not offered: the client offers ['one']"[-40:]]


def test_a_comparison_that_accepts(worker):
    socket = Socket(worker, "/comparison_that_accepts", "one, two").accepted()
    assert socket.receive() == "accepted"
    assert socket.closed() == (1000, "")
    *compared, refused = _log(worker, 3)
    assert set(compared) == {"compared"}
    assert refused.startswith((ORDER, "ValueError: subprotocol 'one' of websocket.accept was not offered"))


def test_keys_that_empty_their_message(worker):
    socket = Socket(worker, "/keys_that_empty_the_message", "one").accepted()
    assert socket.acceptance["subprotocol"] == "one"
    assert socket.receive() == "text"
    assert socket.closed() == (4000, "")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="buffers are not made by code before")
def test_a_buffer_that_sends(worker):
    socket = Socket(worker, "/buffer_that_sends").accepted()
    assert socket.receive() == "before"
    assert socket.receive() == b"of the buffer"
    assert socket.closed() == (4000, "")
    assert _log(worker, 1) == [f"{ORDER} 'websocket.send': {OVER}"]
    drained(worker)


def test_a_flag_that_sends(worker):
    socket = Socket(worker, "/body_that_sends")
    assert socket.next("HEAD")["body"] == "of the flag"
    assert _log(worker, 1) == [f"{ORDER} 'websocket.http.response.body': expected nothing, since the response is complete"]
    drained(worker)


@pytest.mark.skipif(bool(PRELOAD), reason="a sanitizer's memory can't be limited")
def test_no_memory_for_the_rest_of_a_message(worker):
    """What would come next would be taken for its rest: so it ends there, and nothing else does."""
    other = Socket(worker, "/huge").accepted()
    socket = Socket(worker, "/no_memory", credit=1000).accepted()
    frame = socket.next("MESSAGE")
    assert (frame["length"], frame["flags"]) == (1000, MORE)
    frame = socket.next("RESET")
    assert (frame["aux"], frame["body"]) == (1, "no memory for the rest of a message")
    gone = {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert _log(worker, 3) == ["MemoryError: ", "ClientDisconnected: the client is gone", gone]
    other.send("abc")
    assert other.receive() == "cba"
    assert other.closed() == (1000, "")
    drained(worker)


def test_a_task_that_steps_itself(worker):
    socket = Socket(worker, "/steps_itself").accepted()
    assert socket.receive() == "alive"
    assert _log(worker, 4) == ["ValueError: coroutine already executing"] * 4
    socket.send("hello")
    assert socket.receive() == "hello"
    assert socket.closed() == (1000, "")
    drained(worker)


def test_several_tasks_send(worker):
    """Messages stay whole, and those of one task in their order, however little credit there is."""
    # spec: websocket 3
    socket = Socket(worker, "/several_senders", credit=1000).accepted()
    found: dict[str, list[int]] = {}
    for _ in range(6 * 20):
        name, n, rest = str(socket.receive()).split(" ")
        assert rest == name * (int(n) * 211 % 3000)
        found.setdefault(name, []).append(int(n))
    assert found == {name: list(range(20)) for name in "abcdef"}
    assert _log(worker, 1) == ["sent"]
    assert socket.closed() == (1000, "")


def test_two_close_while_others_send(worker):
    """What was sent before the first close is sent; what comes behind it is an error."""
    # spec: websocket 3
    socket = Socket(worker, "/closes_while_others_send", credit=500).accepted()
    assert socket.next("MESSAGE")["length"] == 500
    assert _log(worker, 1) == ["closing"]
    socket.stream.window(10_000)
    assert socket.receive() == "a" * 500
    assert socket.receive() == "b" * 1000
    assert socket.closed() == (4000, "")
    assert _log(worker, 2)[1] == ["NoneType"] * 3 + ["RuntimeError"] * 2
    drained(worker)


def test_ends_of_objects_that_send(worker):
    """Nothing of the client is lost, doubled, or out of order, and neither is anything for it."""
    socket = Socket(worker, "/ends_of_objects_that_send", credit=1 << 20).accepted()
    for n in range(200):
        socket.send(f"{n}")
        socket.part(b"a", True, True)
        socket.part(b"b", True, False)
    socket.send("end")
    got, died = [], 0
    while not got or not str(got[-1]).endswith("have died"):
        message = socket.receive()
        if message == b"dying":
            died += 1
        else:
            got.append(message)
    assert got[:-1] == [word for n in range(200) for word in (f"{n}", "ab")]
    assert got[-1] == f"{died} have died"
    assert died == 400
    assert socket.closed() == (1000, "")
    drained(worker)


def test_ends_of_objects_at_the_end(worker):
    socket = Socket(worker, "/ends_of_objects_at_the_end").accepted()
    assert socket.closed() == (1011, "")
    assert "ValueError: the end" in worker.output()
    worker.get("/collect")
    assert f"{ORDER} 'websocket.send': {OVER}" in worker.output()
    drained(worker)


def test_nothing_is_left_of_those_that_hold_themselves(worker):
    before = Socket(worker, "/count_objects").accepted().receive_json()
    for n in range(30):
        query = "raises" if n % 2 else ""
        socket = Socket(worker, "/holds_itself", query=query).accepted()
        assert socket.closed() == (1011 if query else 1000, "")
    assert Socket(worker, "/count_objects").accepted().receive_json() == before
    drained(worker)


def test_wrong_messages_leave_nothing_behind(worker):
    left = Socket(worker, "/mistakes_for_ever", "one, two").accepted().receive_json()
    assert left == [[0, 0, 0, 0]] * 2 * 15


@pytest.mark.parametrize("ring_size", [16384, 262144])
def test_huge_messages(start, loop, ring_size):
    """8 MiB each way, of characters whose bytes parts tear."""
    # spec: websocket 3
    worker = start("hazards:app", loop=loop, ring_size=ring_size).ready()
    socket = Socket(worker, "/huge", credit=1 << 20).accepted()
    message = "a€" * (2 << 20)
    data, credit, sent = message.encode(), 65520, 0
    while sent < len(data):
        size = min(3001, len(data) - sent)
        while credit < size:
            credit += socket.next("WINDOW")["length"]
        socket.part(data[sent : sent + size], True, sent + size < len(data))
        credit -= size
        sent += size
    assert socket.receive() == message[::-1]
    assert socket.closed() == (1000, "")


INTERPRETERS = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
for _ in range(3):
    one = interpreters.create()
    error = interpreters.run_string(one, "import sys; sys.path[:] = %r; import awaitd._wire" % sys.path)
    assert not error, error
    interpreters.destroy(one)
import awaitd._wire
"""


@pytest.mark.skipif(sys.version_info < (3, 13), reason="importing asyncio in two of them crashes 3.12")
def test_an_interpreter_of_its_own(tmp_path):
    """Nothing of the accelerator is shared by interpreters, which have locks of their own."""
    env = {**os.environ, "PYTHONPATH": PYTHON_DIR, **PRELOAD}
    said = subprocess.run(
        [sys.executable, "-c", INTERPRETERS], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert not re.search("Error", said.stdout), json.dumps(said.stdout)
