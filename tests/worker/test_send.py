"""send(): frames, order, checks, credit, extensions."""

from __future__ import annotations

import json

import pytest
from frames import END_STREAM, TRAILERS
from test_receive import _log

BIG = (bytes(range(256)) * 4000).decode("latin-1") + "y" * 100_000 + "end"


def test_the_usual_reply_is_one_frame(asgi):
    frame = asgi.open("/hello").next()
    assert (frame["type"], frame["aux"], frame["body"], frame["flags"]) == ("HEAD", 200, "hello", END_STREAM)


def test_a_big_body_comes_in_order_by_credit(asgi):
    # spec: http 24
    stream = asgi.open("/big", credit=10_000)
    frame = stream.next("HEAD")
    body, credit = frame["body"], 10_000 - frame["length"]
    while not frame["flags"] & END_STREAM:
        assert credit >= 0
        if credit == 0:
            credit = 7_777
            stream.window(credit)
        frame = stream.next("DATA")
        credit -= frame["length"]
        body += frame["body"]
    assert body == BIG


def test_a_body_larger_than_the_ring_waits_for_room(start, loop):
    """All the credit there is, but a small ring: the producer's waiting flag, and pads at the end of the ring."""
    # spec: http 24
    worker = start("asgi:app", loop=loop, ring_size=16384).ready()
    for _ in range(3):
        stream = worker.open("/big", credit=1 << 30)
        other = worker.open("/hello")
        assert stream.response()[2] == BIG
        assert other.response()[2] == "hello"


def test_other_requests_go_on_while_one_client_is_slow(asgi):
    # spec: http 24
    slow = asgi.open("/big", credit=0)
    assert slow.next("HEAD")["length"] == 0
    assert [asgi.get("/hello")[2] for _ in range(50)] == ["hello"] * 50
    slow.window(1 << 30)
    assert slow.response_body() == BIG


def test_a_blocked_send_is_released_when_the_client_leaves(asgi):
    # spec: http 15
    stream = asgi.open("/blocked_send", credit=60_000)
    stream.next("HEAD")
    while stream.link.read() is not None:
        pass
    stream.reset()
    assert _log(asgi, 1) == [["ClientDisconnected", True]]
    assert asgi.output() == ""


def test_an_app_that_never_receives_hears_it_from_send(asgi):
    # spec: http 15
    stream = asgi.open("/never_receives")
    stream.next("HEAD")
    stream.reset()
    asgi.command("drain")
    asgi.message("drained")
    assert asgi.output() == ""


@pytest.mark.parametrize("how", ["from", "in place", "group"])
def test_a_client_that_has_left_is_no_error_whatever_a_framework_calls_it(asgi, how):
    # spec: http 15
    stream = asgi.open("/gone_in_other_words", query=how)
    stream.next("HEAD")
    stream.reset()
    asgi.command("drain")
    asgi.message("drained")
    assert asgi.output() == ""


@pytest.mark.parametrize("how", ["alone", "group"])
def test_a_mistake_made_then_is_one(asgi, how):
    stream = asgi.open("/gone_and_more", query=how)
    stream.next("HEAD")
    stream.reset()
    asgi.command("drain")
    asgi.message("drained")
    assert "KeyError: 'a mistake'" in asgi.output()


def test_a_cancelled_send_keeps_its_place(asgi):
    stream = asgi.open("/cancelled_send", credit=1000)
    assert stream.next("HEAD")["length"] == 1000
    assert _log(asgi, 1) == ["timeout"]
    stream.window(1 << 30)
    assert stream.response_body() == "a" * 199_000 + "b"


def test_mistakes_are_exceptions_at_the_caller(asgi):
    # spec: http 17
    # spec: http 9
    status, fields, body = asgi.get("/mistakes")
    assert (status, fields) == (200, [["x-a", "1"], ["x-b", "2"]])
    assert json.loads(body) == [
        "TypeError: an ASGI message must be a dict, not bytes",
        "TypeError: an ASGI message must have a type, a str, got {}",
        "TypeError: an ASGI message must have a type, a str, got {'type': 1}",
        "ValueError: unknown ASGI message type 'http.nonsense': expected 'http.response.start', 'http.response.body' or one"
        " of an extension",
        "RuntimeError: unexpected ASGI message 'http.response.body': expected 'http.response.start'",
        "TypeError: status of http.response.start must be an int, not missing",
        "TypeError: status of http.response.start must be an int, not str",
        "ValueError: status of http.response.start must be from 200 to 999, got 99",
        "TypeError: headers must be an iterable of (name, value) pairs, not int",
        "TypeError: each header must be a tuple (name, value), got b'ab'",
        "TypeError: header name must be bytes, not str",
        "TypeError: header value must be bytes, not str",
        "ValueError: invalid value b'b\\r\\nc: d' of header b'a': control characters are not allowed",
        "ValueError: invalid header name b'a\\n': expected one or more token characters (RFC 9110)",
        "ValueError: invalid value b'\\x00' of header b'a': control characters are not allowed",
        "ValueError: invalid header name b'': expected one or more token characters (RFC 9110)",
        "ValueError: the header fields take 200050 bytes; the limit is 16360 (a quarter of the ring)",
        "ValueError: header value is 70000 bytes long; the limit is 65535",
        "RuntimeError: unexpected ASGI message 'http.response.start': expected 'http.response.body'",
        "TypeError: body of http.response.body must be bytes, not str",
        "RuntimeError: unexpected ASGI message 'http.response.trailers': expected 'http.response.body'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'relative'",
    ]
    assert _log(asgi, 1) == [
        "RuntimeError: unexpected ASGI message 'http.response.body': expected nothing, since the response is complete"
    ]


def test_a_reason_phrase(asgi):
    # spec: jobs 6
    frame = asgi.open("/phrases").next("HEAD")
    assert (frame["aux"], frame["fields"], frame["phrase"]) == (299, [["x-a", "1"]], "Grüße, nobody")
    assert json.loads(frame["body"]) == [
        "TypeError: reason of http.response.start must be a str, not bytes",
        "ValueError: reason of http.response.start has control characters",
        "ValueError: reason of http.response.start has characters outside latin-1",
        "ValueError: reason of http.response.start has more than 1,024 characters",
    ]
    assert "phrase" not in asgi.open("/no_phrase").next("HEAD")


def test_the_head_goes_out_when_no_body_follows(asgi):
    # spec: http 19
    frame = asgi.open("/long_poll").next("HEAD")
    assert (frame["aux"], frame["flags"], frame["body"]) == (200, 0, "")


def test_the_head_of_a_child_task_goes_out_too(asgi):
    # spec: http 19
    frame = asgi.open("/child_sends").next("HEAD")
    assert (frame["fields"], frame["flags"]) == ([["x-child", "1"]], 0)


def test_a_child_task_s_reply_is_one_frame_as_well(asgi):
    frame = asgi.open("/one_frame_from_child").next()
    assert (frame["type"], frame["body"], frame["flags"]) == ("HEAD", "child", END_STREAM)


def test_trailers(asgi):
    # spec: http 20
    stream = asgi.open("/trailers")
    head = stream.next("HEAD")
    assert (head["body"], head["flags"]) == ("body", TRAILERS)
    end = stream.next("END")
    assert end["fields"] == [["x-one", "1"], ["x-two", "2"]]


def test_early_hints(asgi):
    # spec: http 20
    stream = asgi.open("/early_hint")
    for _ in ("before the start", "after it, but before the head has left"):
        inform = stream.next("INFORM")
        assert (inform["aux"], inform["fields"]) == (103, [["link", "</a.css>; rel=preload"], ["link", "</b.js>; rel=preload"]])
    assert stream.next("HEAD")["body"] == "part"
    assert _log(asgi, 1) == ["RuntimeError: unexpected ASGI message 'http.response.early_hint': expected 'http.response.body'"]


def test_debug_information_is_logged_at_debug_level(start, loop):
    # spec: http 20
    worker = start("asgi:app", loop=loop, log_level="debug", lifespan="off").ready()
    assert "http.response.debug" in json.loads(worker.get("/scope_of")[2])["extensions"]
    stream = worker.open("/debug", id="00000000deadbeef")
    assert json.loads(stream.response()[2]) == [
        "TypeError: info of http.response.debug must be a dict, not missing",
        "TypeError: info of http.response.debug must be a dict, not list",
        *["nothing raised"] * 3,
    ]
    assert "the response is complete" in _log(worker, 1)[0]
    said = "debug: from ASGI application [id 00000000deadbeef]: "
    first, second, third = worker.output().splitlines()
    assert first == said + "{'template': 'a.html', 'lines': one\\ntwo\\rthree}"
    assert second.startswith(said + "{'long': '\xe9\xe9")
    assert second.endswith("\xe9\u2026")
    assert 2040 < len(second.removeprefix(said).encode()) <= 2048 + len("\u2026".encode())
    assert third == said + "its repr raised ZeroDivisionError"


def test_without_the_debug_level_there_is_no_debug_extension(asgi):
    # spec: http 20
    assert "http.response.debug" not in json.loads(asgi.get("/scope_of")[2])["extensions"]
    unknown = (
        "ValueError: unknown ASGI message type 'http.response.debug': expected 'http.response.start', 'http.response.body' or"
        " one of an extension"
    )
    assert json.loads(asgi.get("/debug")[2]) == [unknown] * 5
    assert asgi.output() == ""
