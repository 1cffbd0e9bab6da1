"""The frames of both languages agree: internal/wire/testdata/vectors.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakeserver import Stream
from frames import TYPES, decode, encode
from sockets import BINARY, Socket
from test_receive import _log

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "internal/wire/testdata/vectors.json").read_text())
BY_NAME = {vector["name"]: vector for vector in VECTORS}


def test_every_frame_type_has_a_vector():
    assert {vector["frame"]["type"] for vector in VECTORS} == set(TYPES.values())


@pytest.mark.parametrize("vector", VECTORS, ids=BY_NAME)
def test_the_codec_of_these_tests_agrees(vector):
    assert encode(vector["frame"]).hex() == vector["hex"]
    assert decode(bytes.fromhex(vector["hex"])) == vector["frame"]


def test_the_worker_reads_every_open(start, loop):
    """The application sees what the vector says; what was revoked it doesn't see."""
    worker = start("asgi:describe", loop=loop).ready()
    sockets = start("websocket:app", loop=loop).ready()
    targets = [{"kind": "tcp", "target": f"streams:{name}"} for name in ("echo", "secures")]
    handlers = start("", loop=loop, targets=targets).ready()
    for vector in VECTORS:
        frame = vector["frame"]
        if frame["type"] != "OPEN":
            continue
        if frame["kind"] == 3:
            see_tcp(handlers, frame, bytes.fromhex(vector["hex"]))
            continue
        if frame["kind"] == 2:
            see_websocket(sockets, frame)
            continue
        worker.links[0].write(bytes.fromhex(vector["hex"]))
        if frame["claim"] == 0:
            reply = worker.next_frame(worker.links[0], frame["stream"])
            seen = json.loads(reply["body"])
            expected = {key: frame[key] for key in seen}
            assert seen == {**expected, "body": frame["body"] if frame["method"] == "PUT" else ""}
    assert worker.get("/after")[0] == 200
    assert worker.links[0].read() is None


def see_tcp(worker, frame, data):
    """The same for a TCP connection, whose second target tells of TLS."""
    stream = Stream(worker, worker.links[0], frame["stream"])
    stream.link.write(data)
    assert [stream.next()["type"], stream.next()["type"]] == ["ACCEPT", "WINDOW"]
    stream.send("MESSAGE", aux=2, body="what\n")
    assert "TLS_AES_128_GCM_SHA256" in stream.next()["body"]


def see_websocket(worker, frame):
    """The same for a WebSocket; the application there chooses what to do by the path."""
    socket = Socket(worker, "/scope_of", **{key: frame[key] for key in ("version", "scheme", "fields")}).accepted()
    seen = socket.receive_json()
    assert (seen["http_version"], seen["scheme"], seen["headers"]) == ("3", "wss", frame["fields"])
    assert seen["subprotocols"] == ["chat", "superchat", "v2"]


def test_the_worker_reads_and_writes_these_messages(start, loop):
    """Every MESSAGE and CLOSE to an application that sends back what it gets; ACCEPT, MESSAGE, CLOSE from it, byte for byte."""
    worker = start("websocket:app", loop=loop).ready()
    link = worker.links[0]
    socket = Socket(worker, "/echo").accepted()
    started = None
    for vector in VECTORS:
        frame = vector["frame"]
        if frame["type"] != "MESSAGE" or frame["aux"] > BINARY or (started and frame["aux"] != started):
            continue
        link.write(bytes.fromhex(vector["hex"]))
        started = frame["aux"] if frame["flags"] else None
        if not frame["flags"]:
            reply = link.wait()
            assert (decode(reply)["aux"], reply) == (frame["aux"], encode(decode(reply)))
    link.write(bytes.fromhex(BY_NAME["CLOSE: the client has said no code"]["hex"]))
    assert _log(worker, 1)[0]["code"] == 1005
    accepted = Socket(worker, "/subprotocol", "one, two")
    for expected in ("ACCEPT", "WINDOW", "MESSAGE", "CLOSE"):
        data = link.wait()
        assert (decode(data)["type"], encode(decode(data))) == (expected, data)
    assert (socket.stream.id, accepted.stream.id) == (1, decode(data)["stream"])


def test_the_worker_writes_these_bytes(asgi):
    """HEAD with the body, INFORM, FILE, END with trailers, WINDOW, RESET, PONG: byte for byte as encoded from their fields."""
    seen = set()
    for path in ("/hello", "/early_hint", "/pathsend", "/trailers", "/raise_before", "/echo"):
        stream = asgi.open(path, flags=0 if path == "/echo" else 1)
        data = asgi.links[0].wait()
        frame = decode(data)
        assert (frame["stream"], data) == (stream.id, encode(frame))
        seen.add(frame["type"])
        while (rest := asgi.links[0].read()) is not None:
            assert rest == encode(decode(rest))
            seen.add(decode(rest)["type"])
    asgi.links[0].write(bytes.fromhex(BY_NAME["PING"]["hex"]))
    assert asgi.next_frame(asgi.links[0], 0) == BY_NAME["PONG"]["frame"]
    assert seen >= {"HEAD", "INFORM", "FILE", "END", "RESET", "WINDOW"}
