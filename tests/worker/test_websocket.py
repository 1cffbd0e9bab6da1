"""WebSockets: scope, acceptance, messages both ways, the end by each side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from frames import END_STREAM
from sockets import Socket
from test_receive import _log

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/asgi.md"
WANTS_PINGS = 16
PING, PONG = 9, 10
GONE = {"type": "websocket.disconnect", "code": 1006, "reason": ""}


@pytest.fixture
def worker(start, loop):
    return start("websocket:app", loop=loop).ready()


def test_the_scope(worker):
    fields = [
        ["host", "example.org"],
        ["origin", "https://example.org"],
        ["sec-websocket-protocol", "one, two ,\tthree,, "],
        ["sec-websocket-protocol", "four"],
    ]
    stream = Socket(worker, "/scope_of", fields=fields, query="a=b", version=20, scheme=1).accepted()
    assert stream.receive_json() == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "2",
        "scheme": "wss",
        "path": "/scope_of",
        "root_path": "",
        "client": ["192.0.2.7", 51234],
        "server": ["127.0.0.1", 8000],
        "subprotocols": ["one", "two", "three", "four"],
        "state": {"pool": "of the lifespan"},
        "extensions": {"websocket.http.response": {}, "awaitd.websocket.ping": {}},
        "bytes": ["/scope_of", "a=b"],
        "headers": fields,
    }


def test_a_plain_scope_is_ws_without_subprotocols(worker):
    scope = Socket(worker, "/scope_of").accepted().receive_json()
    assert (scope["scheme"], scope["http_version"], scope["subprotocols"]) == ("ws", "1.1", [])


def test_asgi_2(start, loop):
    # spec: http 22
    worker = start("websocket:double", loop=loop).ready()
    assert worker.info["interface"] == "asgi2"
    assert Socket(worker, "/scope_of").accepted().receive_json()["asgi"]["version"] == "2.0"


def test_pings(worker):
    # spec: jobs 6
    stream = Socket(worker, "/pings").accepted()
    assert stream.acceptance["flags"] == WANTS_PINGS
    assert stream.receive_json() == [
        "RuntimeError: unexpected ASGI message 'awaitd.websocket.ping': expected 'websocket.accept', 'websocket.close' or"
        " 'websocket.http.response.start'",
        "TypeError: bytes of awaitd.websocket.ping must be bytes, not NoneType",
        "TypeError: bytes of awaitd.websocket.ping must be bytes, not str",
        "ValueError: awaitd.websocket.ping takes at most 125 bytes, got 126",
    ]
    frame = stream.next("MESSAGE")
    assert (frame["aux"], frame["body"], frame["flags"]) == (PING, "ask", 0)
    stream.part(b"a", True, True)
    stream.stream.send("MESSAGE", aux=PONG, body="ask")
    stream.part(b"b", True, False)
    stream.stream.send("MESSAGE", aux=PING, body="")
    assert [stream.receive() for _ in range(3)] == [
        "{'type': 'awaitd.websocket.pong', 'bytes': b'ask'}",
        "{'type': 'websocket.receive', 'text': 'ab'}",
        "{'type': 'awaitd.websocket.ping', 'bytes': b''}",
    ]


def test_pings_are_for_those_who_ask(worker):
    assert Socket(worker, "/echo").accepted().acceptance["flags"] == 0


def test_accept_with_a_subprotocol_that_was_offered(worker):
    # spec: websocket 4
    socket = Socket(worker, "/subprotocol", "one, two").accepted()
    assert (socket.acceptance["subprotocol"], socket.acceptance["fields"]) == ("two", [])
    assert socket.receive_json() == [
        "ValueError: subprotocol 'three' of websocket.accept was not offered: the client offers ['one', 'two']",
        "ValueError: subprotocol '' of websocket.accept was not offered: the client offers ['one', 'two']",
        "ValueError: subprotocol 'TWO' of websocket.accept was not offered: the client offers ['one', 'two']",
        "TypeError: subprotocol of websocket.accept must be a str or None, not int",
    ]


def test_accept_with_headers(worker):
    # spec: websocket 4
    socket = Socket(worker, "/accept_headers", "two").accepted()
    assert (socket.acceptance["subprotocol"], socket.acceptance["fields"]) == ("", [["x-a", "1"], ["set-cookie", "b=2"]])
    reserved = "is not allowed in websocket.accept: the server itself writes the handshake"
    assert socket.receive_json() == [
        f"ValueError: header b'Sec-WebSocket-Protocol' {reserved}; the key 'subprotocol' is for this",
        f"ValueError: header b'sec-websocket-accept' {reserved}",
        f"ValueError: header b'upgrade' {reserved}",
        f"ValueError: header b'content-length' {reserved}",
        "ValueError: invalid value b'b\\r\\nc: d' of header b'x-a': control characters are not allowed",
        "TypeError: header name must be bytes, not str",
        "TypeError: headers must be an iterable of (name, value) pairs, not int",
    ]


@pytest.mark.parametrize("part", [1 << 30, 3, 1])
def test_messages_of_both_kinds_whole_and_in_parts(worker, part):
    socket = Socket(worker, "/echo").accepted()
    for message in ("hello", "", b"", b"\x00\xff\xfe", "é€😀" * 5, "x" * 64, b"y" * 64):
        socket.send(message, part=part)
        assert socket.receive() == message
    socket.close(1000, "bye")
    assert _log(worker, 1) == [{"type": "websocket.disconnect", "code": 1000, "reason": "bye"}]


def test_parts_that_are_empty(worker):
    socket = Socket(worker, "/echo").accepted()
    for data, more in ((b"", True), (b"", True), (b"", False), (b"", True), (b"a", True), (b"", False)):
        socket.part(data, False, more)
    assert (socket.receive(), socket.receive()) == (b"", b"a")


def test_many_messages_at_once_keep_their_order(worker):
    socket = Socket(worker, "/echo").accepted()
    messages = [f"{n}" if n % 3 else f"{n}".encode() for n in range(1000)]
    for message in messages:
        socket.send(message, part=1 if len(message) % 2 else 2)
    assert [socket.receive() for _ in messages] == messages


def test_text_that_is_no_utf_8_ends_it_for_both_sides(worker):
    """The server has looked already, so this is about a server that is wrong."""
    socket = Socket(worker, "/echo").accepted()
    socket.part(b"caf\xc3", True, False)
    assert socket.closed() == (1007, "")
    assert _log(worker, 1) == [{"type": "websocket.disconnect", "code": 1007, "reason": ""}]
    assert worker.output() == ""
    again = Socket(worker, "/echo").accepted()
    again.part(b"caf", True, True)
    again.part(b"\xc3", True, False)
    assert again.closed() == (1007, "")


def test_bytes_likes_and_subclasses(worker):
    socket = Socket(worker, "/buffers").accepted()
    assert [socket.receive() for _ in range(6)] == [b"one", b"two", b"three", b"", "é€😀", ""]


@pytest.mark.parametrize("credit", [1, 777, 65536])
def test_big_messages_to_the_client_go_by_credit(worker, credit):
    """In parts no longer than the credit; a buffer counts as it was when send() was called."""
    # spec: websocket 3
    socket = Socket(worker, "/big", credit=credit * 50).accepted()
    parts, left = [], credit * 50
    for expected in ("é€😀a" * 40_000, bytes(range(256)) * 1000, b"x" * 200_000, "end"):
        data, more = b"", 4
        while more:
            while left == 0:
                socket.stream.window(credit * 50)
                left += credit * 50
            frame = socket.next("MESSAGE")
            more, left = frame["flags"], left - frame["length"]
            assert left >= 0
            data += frame["body"].encode("latin-1")
            parts.append(frame["length"])
        assert data == (expected.encode() if isinstance(expected, str) else expected)
    assert max(parts) <= min(credit * 50, 65536 // 4)


def test_big_messages_through_a_small_ring(start, loop):
    worker = start("websocket:app", loop=loop, ring_size=16384).ready()
    socket, other = Socket(worker, "/big", credit=1 << 30).accepted(), Socket(worker, "/echo").accepted()
    assert [len(socket.receive()) for _ in range(4)] == [160_000, 256_000, 200_000, 3]
    other.send("hello")
    assert other.receive() == "hello"


def test_a_big_message_of_the_client_is_granted_as_it_comes(worker):
    """Larger than the window: what has come is granted while the application waits for the rest."""
    # spec: websocket 3
    socket = Socket(worker, "/echo").accepted()
    data, credit, sent = b"0123456789" * 100_000, 65520, 0
    while sent < len(data):
        size = min(4096, len(data) - sent)
        while credit < size:
            credit += socket.next("WINDOW")["length"]
        socket.part(data[sent : sent + size], False, sent + size < len(data))
        credit -= size
        sent += size
    assert socket.receive() == data


def received(worker, name, count):
    """Has the application receive so many more, and gives what it has noted then."""
    for n in range(len(json.loads(worker.get("/log")[2])) + 1, count + 1):
        worker.get("/open_gate", query=name)
        _log(worker, n)


def windows(socket, worker):
    """The credit granted up to now."""
    worker.get("/log")
    queue = worker._frames[id(socket.stream.link), socket.stream.id]
    granted = [frame["length"] for frame in queue if frame["type"] == "WINDOW"]
    queue.clear()
    return granted


def test_credit_comes_again_when_half_of_the_window_was_received(worker):
    # spec: websocket 3
    socket = Socket(worker, "/gated", query="half").accepted()
    for size in (10_000, 10_000, 12_759, 1, 20_000):
        socket.send(b"x" * size)
    received(worker, "half", 3)
    assert windows(socket, worker) == []
    received(worker, "half", 4)
    assert windows(socket, worker) == [32_760]
    received(worker, "half", 5)
    assert windows(socket, worker) == []


def test_parts_are_not_granted_while_others_are_queued(worker):
    # spec: websocket 3
    socket = Socket(worker, "/gated", query="parts").accepted()
    socket.send(b"whole")
    for _ in range(5):
        socket.part(b"x" * 8000, False, True)
    assert windows(socket, worker) == []
    received(worker, "parts", 1)
    assert windows(socket, worker) == []
    worker.get("/open_gate", query="parts")
    assert socket.next("WINDOW")["length"] == 40_005
    socket.part(b"", False, False)
    assert _log(worker, 2) == [5, 40_000]


@pytest.mark.parametrize(("cost", "expected"), [(32_760, [32_760] * 4), (65_520, [65_520] * 4), (20_000, [40_000] * 2)])
def test_a_message_costs_at_least_what_the_setup_says(start, loop, cost, expected):
    # spec: websocket 3
    worker = start("websocket:app", loop=loop, message_cost=cost).ready()
    socket = Socket(worker, "/gated", query="cost").accepted()
    for n in range(4):
        socket.send(b"x")
        received(worker, "cost", n + 1)
    assert windows(socket, worker) == expected


def test_the_client_closes(worker):
    # spec: websocket 5
    for code, reason in ((1000, "é" * 60), (1005, ""), (1006, ""), (1012, ""), (4321, "why")):
        socket = Socket(worker, "/echo").accepted()
        socket.send("hello")
        assert socket.receive() == "hello"
        socket.close(code, reason)
    assert [(message["code"], message["reason"]) for message in _log(worker, 5)] == [
        (1000, "é" * 60), (1005, ""), (1006, ""), (1012, ""), (4321, "why")
    ]  # fmt: skip


def test_what_came_before_the_end_is_received_before_it(worker):
    # spec: websocket 5
    socket = Socket(worker, "/gated", query="order").accepted()
    socket.send("first")
    socket.send(b"second!")
    socket.part(b"half", True, True)
    socket.close(1001)
    received(worker, "order", 3)
    assert _log(worker, 3) == [5, 7, {"type": "websocket.disconnect", "code": 1001, "reason": ""}]


def test_after_the_disconnect(worker):
    """send() raises, and receive() says the same again and again."""
    # spec: websocket 5
    socket = Socket(worker, "/never_receives").accepted()
    socket.close(4000, "bye")
    worker.get("/open_gate", query="never_receives")
    gone = {"type": "websocket.disconnect", "code": 4000, "reason": "bye"}
    assert _log(worker, 2) == ["ClientDisconnected: the client is gone", [gone] * 3]


def test_a_blocked_send_hears_it(worker):
    # spec: websocket 3
    # spec: websocket 5
    socket = Socket(worker, "/blocked_send", credit=1000).accepted()
    assert socket.next("MESSAGE")["length"] == 1000
    socket.close(1006)
    assert _log(worker, 1) == ["ClientDisconnected: the client is gone"]
    worker.command("drain")
    worker.message("drained")
    assert worker.output() == ""


def test_the_client_leaves_before_the_acceptance(worker):
    # spec: websocket 5
    socket = Socket(worker, "/before_accept")
    assert _log(worker, 1) == ["connected"]
    socket.stream.reset()
    assert _log(worker, 3) == ["connected", GONE, "ClientDisconnected: the client is gone"]


def test_an_application_that_returns_or_rejects(worker):
    # spec: websocket 4
    Socket(worker, "/returns").next("CLOSE")
    Socket(worker, "/rejects").next("CLOSE")
    over = "expected nothing, since the application has closed the connection"
    closed = f"RuntimeError: unexpected ASGI message 'websocket.accept': {over}"
    assert _log(worker, 1) == [[{"type": "websocket.disconnect", "code": 1000, "reason": "unheard"}, closed]]
    assert worker.output() == ""


def test_an_application_that_raises_before_the_acceptance(worker):
    # spec: websocket 4
    frame = Socket(worker, "/raises", id="00000000deadbeef").next("RESET")
    assert (frame["aux"], frame["body"]) == (1, "ValueError")
    assert "exception in ASGI application [id 00000000deadbeef]" in worker.output()
    assert worker.output().count("ValueError: before accept") == 1


@pytest.mark.parametrize(("path", "code"), [("/returns_accepted", 1000), ("/raises_accepted", 1011)])
@pytest.mark.parametrize("credit", [65536, 2])
def test_the_end_of_an_application_closes(worker, path, code, credit):
    """Behind what it had sent, though that has to wait for credit."""
    # spec: websocket 5
    socket = Socket(worker, path, credit=credit).accepted()
    if credit == 2:
        assert socket.next("MESSAGE")["body"] == "la"
        worker.get("/log")
        socket.stream.window(10)
        assert socket.next("MESSAGE")["body"] == "st"
    else:
        assert socket.receive() == "last"
    assert socket.closed() == (code, "")
    assert worker.output().count("ValueError: after accept") == (code == 1011)
    worker.command("drain")
    worker.message("drained")


def test_an_exception_after_close_is_logged(worker):
    assert Socket(worker, "/raises_closed").accepted().closed() == (1001, "")
    assert "ValueError: after close" in worker.output()


def test_close_waits_behind_messages(worker):
    # spec: websocket 3
    socket = Socket(worker, "/queued_close", credit=400).accepted()
    assert socket.next("MESSAGE")["length"] == 400
    assert _log(worker, 1) == ["closing"]
    socket.stream.window(1000)
    assert socket.receive() == "a" * 600
    assert socket.closed() == (3000, "done")
    assert _log(worker, 2) == ["closing", "closed"]


def test_a_denial(worker):
    # spec: websocket 4
    socket = Socket(worker, "/denies")
    head = socket.next("HEAD")
    assert (head["aux"], head["fields"], head["body"]) == (401, [["x-why", "no"]], "part,")
    assert socket.next("DATA")["body"] == "rest"
    complete = "expected nothing, since the response is complete"
    assert _log(worker, 2) == [
        [
            "RuntimeError: unexpected ASGI message 'websocket.http.response.start': expected 'websocket.http.response.body'",
            "RuntimeError: unexpected ASGI message 'websocket.accept': expected 'websocket.http.response.body'",
        ],
        [GONE, f"RuntimeError: unexpected ASGI message 'websocket.accept': {complete}"],
    ]
    assert worker.output() == ""


def test_half_a_denial(worker):
    socket = Socket(worker, "/denies_half")
    assert socket.next("HEAD")["flags"] & END_STREAM == 0
    assert socket.next("RESET")["aux"] == 1
    assert "the application returned before the end of its response" in worker.output()


@pytest.mark.parametrize("type", ["websocket.accept", "websocket.http.response.start"])
def test_an_iterator_of_headers_that_sends(worker, type):
    socket = Socket(worker, "/accepts_twice", query=type).accepted()
    assert socket.closed() == (1000, "")
    assert _log(worker, 1) == [
        f"RuntimeError: unexpected ASGI message '{type}': expected 'websocket.send' or 'websocket.close'"
    ]


def test_mistakes_are_exceptions_at_the_caller(worker):
    socket = Socket(worker, "/mistakes").accepted()
    first = "expected 'websocket.accept', 'websocket.close' or 'websocket.http.response.start'"
    then = "expected 'websocket.send' or 'websocket.close'"
    codes = "code of websocket.close must be one of 1000-1003, 1007-1014, 3000-4999"
    either = "websocket.send must have bytes or text, and the other missing or None; it has"
    assert socket.receive_json() == [
        "TypeError: an ASGI message must be a dict, not bytes",
        f"ValueError: unknown ASGI message type 'websocket.nonsense': {first}",
        f"ValueError: unknown ASGI message type 'http.response.start': {first}",
        f"RuntimeError: unexpected ASGI message 'websocket.send': {first}",
        f"RuntimeError: unexpected ASGI message 'websocket.http.response.body': {first}",
        "TypeError: status of websocket.http.response.start must be an int, not str",
        "TypeError: code of websocket.close must be an int, not str",
        "TypeError: reason of websocket.close must be a str or None, not bytes",
        f"RuntimeError: unexpected ASGI message 'websocket.accept': {then}",
        f"RuntimeError: unexpected ASGI message 'websocket.http.response.start': {then}",
        f"ValueError: {either} neither",
        f"ValueError: {either} neither",
        f"ValueError: {either} both",
        "TypeError: text of websocket.send must be a str, not bytes",
        "TypeError: bytes of websocket.send must be bytes, not str",
        "UnicodeEncodeError: 'utf-8' codec can't encode character '\\udc80' in position 0: surrogates not allowed",
        f"ValueError: {codes}, got 1005",
        f"ValueError: {codes}, got 1180591620717411303424",
        f"ValueError: {codes}, got 999",
        "ValueError: reason of websocket.close takes 124 bytes as UTF-8; the limit is 123",
        f"ValueError: unknown ASGI message type 'websocket.nonsense': {then}",
    ]
    assert socket.closed() == (4000, "é" * 61)
    over = "expected nothing, since the application has closed the connection"
    assert _log(worker, 2) == [
        [
            f"RuntimeError: unexpected ASGI message 'websocket.send': {over}",
            f"RuntimeError: unexpected ASGI message 'websocket.close': {over}",
            f"RuntimeError: unexpected ASGI message 'nonsense': {over}",
        ],
        [{"type": "websocket.disconnect", "code": 4000, "reason": "é" * 61}] * 2,
    ]


def test_frames_of_a_websocket_that_is_over_are_skipped(worker):
    socket = Socket(worker, "/returns_accepted").accepted()
    assert (socket.receive(), socket.closed()) == ("last", (1000, ""))
    socket.send("late")
    socket.close(1000)
    assert worker.get("/log")[0] == 200


def test_frames_of_the_other_protocol_are_skipped(worker):
    socket = Socket(worker, "/echo").accepted()
    socket.stream.data("a body")
    socket.stream.end()
    socket.send("hello")
    assert socket.receive() == "hello"


@pytest.fixture
def example(start, loop, tmp_path):
    """Runs the page's example under a heading."""

    def run(heading):
        (tmp_path / "example.py").write_text(
            PAGE.read_text().split(f"# {heading}\n")[1].split("```python\n")[1].split("```")[0]
        )
        return start("example:app", loop=loop, app_dir=str(tmp_path)).ready()

    return run


def test_the_page_s_echo(example):
    socket = Socket(example("WebSocket"), "/", "one, two").accepted()
    assert socket.acceptance["subprotocol"] == "one"
    socket.send("hello")
    socket.send(b"hello")
    assert (socket.receive(), socket.receive()) == ("hello", b"hello")


def test_the_page_s_denial(example):
    head = Socket(example("`websocket.http.response`"), "/").next("HEAD")
    assert (head["aux"], head["fields"]) == (401, [["www-authenticate", 'Basic realm="chat"']])
    assert head["body"] == "who are you?"
