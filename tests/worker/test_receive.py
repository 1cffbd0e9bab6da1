"""receive(): bodies, credit, disconnects, cancellation."""

from __future__ import annotations

import json

import pytest
from frames import END_STREAM

WINDOW = 65520


def test_a_request_without_body_gives_one_empty_message(asgi):
    # spec: http 13
    assert json.loads(asgi.get("/echo")[2]) == [["http.request", "", False]]


def test_a_body_inside_open_needs_no_credit(asgi):
    # spec: http 13
    stream = asgi.open("/echo", body="hello")
    assert json.loads(stream.next("HEAD")["body"]) == [["http.request", "hello", False]]


def test_a_body_comes_in_parts(asgi):
    # spec: http 13
    stream = asgi.open("/echo", flags=0, body="one")
    assert stream.next("WINDOW")["length"] == WINDOW
    stream.data("two")
    stream.data("three", end=True)
    messages = json.loads(stream.response()[2])
    assert "".join(body for _, body, _ in messages) == "onetwothree"
    assert [more for _, _, more in messages] == [True] * (len(messages) - 1) + [False]


def test_an_end_frame_ends_the_body(asgi):
    # spec: http 13
    stream = asgi.open("/echo", flags=0)
    stream.next("WINDOW")
    stream.data("all")
    stream.end()
    assert "".join(body for _, body, _ in json.loads(stream.response()[2])) == "all"


def test_messages_are_at_most_64_kib(start, loop):
    # spec: http 13
    worker = start("asgi:app", loop=loop, ring_size=1 << 20).ready()
    lengths = json.loads(worker.open("/lengths", body="x" * 200_000).response()[2])
    assert (sum(lengths), max(lengths)) == (200_000, 1 << 16)


def test_credit_comes_with_the_first_receive_and_again_when_half_is_taken(asgi):
    # spec: http 5
    # spec: http 24
    stream = asgi.open("/gated_read", flags=0)
    assert stream.next("HEAD")["body"] == ""
    asgi.get("/open_gate")
    assert stream.next()["type"] == "WINDOW"
    sent = 0
    for size, granted in ((10_000, 0), (10_000, 0), (16_000, 36_000), (1_000, 0)):
        stream.data("x" * size)
        sent += size
        frames = [stream.next("DATA", "WINDOW")]
        if granted:
            frames.append(stream.next("DATA", "WINDOW"))
        assert [f["length"] for f in frames if f["type"] == "WINDOW"] == ([granted] if granted else [])
        assert [f["body"] for f in frames if f["type"] == "DATA"] == [str(size)]
        asgi.get("/open_gate")
    stream.data("", end=True)
    assert stream.next("DATA")["body"] == "0"
    stream.next("END", "DATA")


def test_after_the_body_receive_waits_for_the_client_to_leave(asgi):
    # spec: http 13
    # spec: http 15
    stream = asgi.open("/wait_disconnect")
    stream.next("HEAD")
    stream.reset()
    log = _log(asgi, 2)
    gone = {"type": "http.disconnect"}
    assert log[0][1:] == [gone, gone]
    assert log[1] == "ClientDisconnected: the client is gone"
    assert "Traceback" not in asgi.output()


def _log(worker, length):
    """The application's log, once it has that many entries: each look is a request, so each is a turn of its loop."""
    for _ in range(1000):
        log = json.loads(worker.get("/log")[2])
        if len(log) >= length:
            return log
    raise AssertionError(f"{log}\n{worker.output()}")


def test_every_waiting_receive_hears_the_disconnect(asgi):
    # spec: http 13
    # spec: http 14
    stream = asgi.open("/two_waiters")
    stream.next("HEAD")
    stream.reset()
    assert _log(asgi, 1) == [[{"type": "http.disconnect"}] * 2]


def test_after_the_response_receive_gives_disconnect_at_once(asgi):
    # spec: http 13
    # spec: http 17
    assert asgi.get("/after_response")[2] == "done"
    gone = {"type": "http.disconnect"}
    assert _log(asgi, 1)[0][:2] == [gone, gone]
    assert "the response is complete" in _log(asgi, 1)[0][2]


def test_a_cancelled_receive_loses_nothing(asgi):
    # spec: http 14
    stream = asgi.open("/cancelled_receive", flags=0)
    assert stream.next("HEAD")["body"] == "go"
    stream.next("WINDOW")
    assert stream.next("DATA")["body"] == "timeout"
    stream.data("precious", end=True)
    assert stream.next("DATA")["body"] == "precious"


@pytest.mark.parametrize("order", ["before", "after"])
def test_a_body_that_arrives_with_its_request(asgi, order):
    """DATA directly behind its OPEN, as when the worker was slow: nothing is lost or reordered."""
    # spec: http 13
    stream = asgi.open("/echo", flags=0, body="a" if order == "after" else "")
    stream.next("WINDOW")
    for n in range(100):
        stream.data(f"{n},", end=n == 99)
    body = "".join(part for _, part, _ in json.loads(stream.response()[2]))
    assert body == ("a" if order == "after" else "") + "".join(f"{n}," for n in range(100))


def test_frames_of_a_stream_that_is_over_are_skipped(asgi):
    stream = asgi.open("/hello")
    assert stream.next()["flags"] & END_STREAM
    stream.data("late")
    stream.window(5)
    stream.reset()
    assert asgi.get("/hello")[2] == "hello"
