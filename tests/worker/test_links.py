"""Rings, claims, turns, several links."""

from __future__ import annotations

import os
import random

from frames import decode, encode, open_frame

_HEADER_PAGE = 4096


def claim_word(link, position):
    """Where the claim of the OPEN at a position of the ring is."""
    return _HEADER_PAGE + position % link.size + 16


def test_a_revoked_request_is_not_started(asgi):
    # spec: http 16
    revoked, kept = asgi.new_stream(), asgi.new_stream()
    asgi.links[0].write(encode(open_frame(revoked.id, path="/hello", claim=2)), encode(open_frame(kept.id, path="/hello")))
    assert kept.response()[2] == "hello"
    assert revoked.id not in {stream for _, stream in asgi._frames}
    assert asgi.links[0].consumed


def test_requests_behind_a_blocked_loop_can_be_taken_back(asgi, tmp_path):
    """The head shows how far the worker is; what it has not claimed can be revoked, and then never runs."""
    # spec: process 13
    # spec: process 4
    link, gate = asgi.links[0], tmp_path / "gate"
    os.mkfifo(gate)
    blocker, waiting, left = asgi.new_stream(), asgi.new_stream(), asgi.new_stream()
    first = encode(open_frame(blocker.id, path="/block", query=str(gate)))
    second = encode(open_frame(waiting.id, path="/hello"))
    start = link._tail
    link.write(first, second, encode(open_frame(left.id, path="/hello")))
    while link._load(64) == start:
        pass  # the blocker's claim and the head come at once, before the application runs
    assert link._load(64) == start + len(first)
    assert [link._load(claim_word(link, at), "I") for at in (start, start + len(first))] == [1, 0]
    link._store(claim_word(link, start + len(first)), 2, "I")
    os.close(os.open(gate, os.O_WRONLY))
    assert left.response()[2] == "hello"
    assert (id(link), waiting.id) not in asgi._frames or not asgi._frames[id(link), waiting.id]


def test_many_requests_in_one_publication(asgi):
    """More than a turn's budget at once: all are answered, in several turns."""
    streams = [asgi.new_stream() for _ in range(300)]
    asgi.links[0].write(*(encode(open_frame(stream.id, path="/hello")) for stream in streams))
    assert [stream.response()[2] for stream in streams] == ["hello"] * 300


def test_several_links(start, loop):
    worker = start("asgi:app", loop=loop, links=3).ready()
    streams = [worker.open("/hello", link=n % 3) for n in range(60)]
    assert [stream.response()[2] for stream in streams] == ["hello"] * 60


def test_several_loops(start, loop):
    """Worker loops on threads of their own, as on free-threaded builds."""
    worker = start("asgi:app", loop=loop, links=2, loops=2).ready()
    for link in range(4):
        assert worker.open("/hello", link=link).response()[2] == "hello"
    names = {worker.open("/thread_name", link=link).response()[2] for link in range(4)}
    assert names == {'"MainThread"', '"loop-1"'}
    worker.command("drain")
    worker.message("drained")
    assert worker.stop() == 0


def test_every_position_in_the_ring(start, loop):
    """Frames of random sizes go round small rings many times: pads of every size, full rings both ways."""
    draw = random.Random(20261123)
    worker = start("asgi:app", loop=loop, ring_size=16384).ready()
    for _ in range(400):
        bodies = ["x" * draw.randrange(0, 3000) for _ in range(draw.randrange(1, 5))]
        streams = [worker.new_stream() for _ in bodies]
        frames = [
            encode(open_frame(stream.id, path="/lengths", body=body)) for stream, body in zip(streams, bodies, strict=True)
        ]
        worker.links[0].write(*frames)
        for stream, body in zip(streams, bodies, strict=True):
            assert stream.response()[2] == f"[{len(body)}]"


def test_ping(asgi):
    asgi.links[0].write(encode({"type": "PING", "stream": 0, "flags": 0, "aux": 0, "token": "00000000000000ff"}))
    assert asgi.next_frame(asgi.links[0], 0)["token"] == "00000000000000ff"


def test_an_idle_worker_rings_and_is_rung(asgi):
    """The waiting flags: both sides asleep, one doorbell each way."""
    for _ in range(20):
        assert asgi.get("/hello")[2] == "hello"
        assert asgi.links[0]._load(192, "I") in (0, 1)


def test_stream_ids_with_generations(asgi):
    """The same slot again, as soon as the stream has ended; a frame of the older generation changes nothing."""
    for generation in range(20):
        stream = asgi.new_stream()
        stream.id = generation << 20 | 5
        asgi.links[0].write(encode(open_frame(stream.id, path="/echo", flags=0)))
        stream.next("WINDOW")
        old = (generation - 1) % 2048 << 20 | 5
        asgi.links[0].write(encode({"type": "RESET", "stream": old, "flags": 0, "aux": 0, "body": ""}))
        stream.data(str(generation), end=True)
        assert f'"{generation}"' in stream.response()[2]


def test_a_frame_is_a_multiple_of_eight(asgi):
    stream = asgi.open("/hello")
    data = asgi.links[0].wait()
    assert len(data) % 8 == 0
    assert (decode(data)["stream"], decode(data)["size"]) == (stream.id, len(data))
