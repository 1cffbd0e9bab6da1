"""awaitd.broadcast: one frame for all who can take the message, one of their own for the others, none for who is behind."""

from __future__ import annotations

import json

import pytest
from sockets import BINARY, TEXT, Socket


@pytest.fixture
def worker(start, loop):
    return start("broadcast:app", loop=loop).ready()


def say(worker, how, said="hello"):
    status, _, body = worker.get(f"/{how}", query=said.encode().decode("latin-1"))
    assert status == 200
    return json.loads(body)


def told(worker, link=0):
    """The next BROADCAST."""
    frame = worker.next_frame(worker.links[link], 0)
    assert frame["type"] == "BROADCAST"
    return frame["streams"], frame["aux"], frame["body"]


def join(worker, *names, **changes):
    return [Socket(worker, f"/{name}", **changes).accepted() for name in names]


@pytest.mark.parametrize(("how", "aux"), [("text", TEXT), ("binary", BINARY), ("objects", TEXT), ("copies", TEXT)])
def test_one_frame_tells_all(worker, how, aux):
    # spec: websocket 11
    streams = [socket.stream.id for socket in join(worker, "a", "b", "c")]
    assert say(worker, how, "grüße") == []
    assert told(worker) == (streams, aux, "grüße".encode().decode("latin-1"))


def test_nobody_is_told_nothing(worker):
    assert say(worker, "nobody") == []


def test_who_is_not_accepted_or_gone_is_passed_over(worker):
    socket, gone, also = join(worker, "a", "gone", "b")
    Socket(worker, "/pending")
    Socket(worker, "/closes").accepted().closed()
    gone.close(1001)
    assert say(worker, "text") == []
    assert told(worker)[0] == [socket.stream.id, also.stream.id]


def test_who_has_no_credit_gets_one_message_of_its_own_and_is_behind_then(worker):
    # spec: websocket 3
    # spec: websocket 11
    a, b = join(worker, "a", "b")
    (slow,) = join(worker, "slow", credit=3)
    assert say(worker, "text", "one") == []
    assert told(worker)[0] == [a.stream.id, b.stream.id, slow.stream.id]
    assert say(worker, "text", "two") == []
    assert told(worker)[0] == [a.stream.id, b.stream.id]
    assert say(worker, "text", "three") == ["/slow"]
    assert told(worker) == ([a.stream.id, b.stream.id], TEXT, "three")
    slow.stream.window(3)
    assert slow.receive() == "two"
    assert say(worker, "text", "six") == []
    assert told(worker) == ([a.stream.id, b.stream.id, slow.stream.id], TEXT, "six")


def test_credit_counts_for_each_mention(worker):
    (socket,) = join(worker, "a", credit=12)
    assert say(worker, "twice", "hello") == [[], []]
    assert told(worker) == ([socket.stream.id] * 2, TEXT, "hello")
    assert socket.next("MESSAGE")["body"] == "he"
    assert say(worker, "twice", "again") == [["/a", "/a"], ["/a"]]
    socket.stream.window(3)
    assert socket.next("MESSAGE")["body"] == "llo"


def test_its_order_is_that_of_other_messages(worker):
    (socket,) = join(worker, "a")
    join(worker, "b")
    socket.send("before")
    assert socket.receive() == "before"
    say(worker, "text", "between")
    socket.send("after")
    told(worker)
    assert socket.receive() == "after"


def test_what_is_too_long_for_one_frame_goes_to_each(worker):
    a, b = join(worker, "a", "b")
    assert say(worker, "large", "x") == []
    assert say(worker, "large", "y") == ["/a", "/b"]
    for socket in (a, b):
        assert socket.receive() == "x" * 100_000


def test_a_full_ring_keeps_one_message_for_each(start, loop):
    worker = start("broadcast:app", loop=loop, ring_size=16 << 10).ready()
    members = [Socket(worker, f"/{n}", credit=1 << 20).accepted() for n in range(20)]
    said = [letter * 3000 for letter in "abcdefghijklmnop"]
    streams = [worker.open("/text", query=text) for text in said]  # nobody reads meanwhile
    behind = [json.loads(stream.response()[2]) for stream in streams]
    assert behind[0] == []
    assert [len(names) for names in behind if len(names) == len(members)]
    shared = worker.earlier(worker.links[0], 0)
    for n, socket in enumerate(members):
        heard = [frame["body"] for frame in shared if socket.stream.id in frame["streams"]]
        expected = [text for text, names in zip(said, behind, strict=True) if f"/{n}" not in names]
        heard += [socket.receive() for _ in range(len(expected) - len(heard))]
        assert sorted(heard) == expected


def test_two_links(start, loop):
    """One frame on each."""
    worker = start("broadcast:app", loop=loop, links=2).ready()
    streams = [[], []]
    for n in range(6):
        stream = worker.open(f"/{n}", link=n % 2, kind=2)
        stream.next("ACCEPT")
        streams[n % 2].append(stream.id)
    assert say(worker, "text") == []
    for link in (0, 1):
        assert told(worker, link) == (streams[link], TEXT, "hello")


def test_mistakes(worker):
    join(worker, "a")
    scope = "broadcast() wants ASGI scopes, or objects with one as their attribute 'scope', not"
    missing = "RuntimeError: broadcast() is for the WebSockets of awaitd: a scope has no extension 'awaitd.broadcast'"
    assert say(worker, "mistakes") == [
        "TypeError: message of broadcast() must be str or bytes, not int",
        "TypeError: message of broadcast() must be str or bytes, not NoneType",
        f"TypeError: {scope} int",
        missing,
        "TypeError: 'NoneType' object is not iterable",
        "TypeError: broadcast() takes connections and a message",
        missing,
    ]
    assert say(worker, "surrogate").startswith("UnicodeEncodeError: ")


def test_a_member_that_leaves_is_freed(worker):
    """The scope holds the connection's handle; that is no leak once the application has ended."""
    socket, *_ = join(worker, "a", "b")
    socket.close(1000)
    worker.command("drain")
    assert say(worker, "text") == []
