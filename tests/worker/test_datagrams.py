"""Datagram sockets: what the worker writes, and what a protocol may do at the wrong time."""

from __future__ import annotations

import socket
import struct

import pytest
from sockets import BINARY, MORE, Socket

NAMES = ["Echo", "Hazards", "raises", "asgi"]
UDP = 4
WINDOW = 256 << 10
PEER = struct.pack("<BBHI16s", 4, 0, 5353, 0, socket.inet_pton(socket.AF_INET, "192.0.2.1"))
PEER_6 = struct.pack("<BBHI16s", 6, 0, 53, 7, socket.inet_pton(socket.AF_INET6, "fe80::1"))


@pytest.fixture
def worker(start, loop):
    targets = [{"kind": "udp", "target": f"datagrams:{name}"} for name in NAMES]
    return start("", loop=loop, targets=targets).ready()


def attach(worker, name: str, **changes) -> Socket:
    stream = Socket(worker, "", kind=UDP, flags=0, target=NAMES.index(name) + 1, **changes)
    stream.acceptance = stream.stream.next("ACCEPT")
    assert stream.stream.next("WINDOW")["length"] == WINDOW
    return stream


def receive(stream: Socket) -> bytes:
    return b"".join(frame["body"].encode("latin-1") for frame in stream.frames())


# spec: jobs 2
@pytest.mark.parametrize("name", ["Echo", "asgi"])
def test_datagrams_go_both_ways_behind_their_peer(worker, name):
    stream = attach(worker, name)
    for peer in (PEER, PEER_6):
        for length in (0, 1, 1400, 65_507):
            stream.send(peer + b"x" * length, part=10_000)
            expected = peer if name == "Echo" or peer is PEER else PEER_6[:4] + bytes(4) + PEER_6[8:]  # ASGI's has no zone
            assert receive(stream) == expected + b"x" * length
    stream.close(1012)
    assert worker.stop() == 0
    assert ("lost None" in worker.output()) == (name == "Echo")


def test_credit_is_given_again_and_waited_for(worker):
    stream = attach(worker, "Echo", credit=100)
    stream.send(PEER + b"a" * 60)
    assert len(stream.stream.next("MESSAGE")["body"]) == 84
    stream.send(PEER + b"b" * 60)  # 16 bytes of credit are left
    first = stream.stream.next("MESSAGE")
    assert (first["flags"], first["aux"], len(first["body"])) == (MORE, BINARY, 16)
    stream.stream.window(1000)
    assert len(stream.stream.next("MESSAGE")["body"]) == 68
    stream.stream.window(10_000_000)
    granted = 0
    for _ in range(1200):
        stream.send(PEER)
        frame = stream.stream.next("MESSAGE", "WINDOW")
        if frame["type"] == "WINDOW":
            granted += frame["length"]
            stream.stream.next("MESSAGE")
    assert granted >= 1200 * 64 - WINDOW // 4


@pytest.mark.parametrize("last", [b"abort", b"close"])
def test_what_a_program_may_do_at_the_wrong_time(worker, last):
    stream = attach(worker, "Hazards")
    stream.send(PEER + last)
    assert receive(stream) == PEER + last
    assert receive(stream) == struct.pack("<BBHI16s", 6, 0, 5, 7, socket.inet_pton(socket.AF_INET6, "::1")) + b"2"
    if last == b"abort":
        assert stream.stream.next("RESET")["aux"] == 0
    else:
        assert stream.closed() == (1000, "")
    again = attach(worker, "Echo")
    again.send(PEER + b"raise")
    again.send(PEER + b"on")
    assert receive(again) == PEER + b"on"
    again.send(b"short")  # no datagram at all
    again.send(PEER + b"still")
    assert receive(again) == PEER + b"still"
    assert worker.stop() == 0
    said = worker.output()
    assert said.count("lost None") == 1
    assert said.count("Message too long") == said.count("RuntimeError: as it should") == 1
    assert "AssertionError" not in said


def test_a_factory_that_raises_and_an_application_that_ends(worker):
    stream = attach(worker, "raises")
    assert stream.stream.next("RESET")["aux"] == 1
    stream = attach(worker, "asgi")
    stream.send(PEER + b"close")
    assert receive(stream) == PEER + b"close"
    assert stream.closed() == (1000, "")
    assert worker.stop() == 0
    assert worker.output().count("\nRuntimeError: no protocol") == 1
    assert "AssertionError" not in worker.output()
