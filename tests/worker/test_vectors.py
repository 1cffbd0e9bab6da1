"""The frames of both languages agree: internal/wire/testdata/vectors.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from frames import TYPES, decode, encode

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "internal/wire/testdata/vectors.json").read_text())
BY_NAME = {vector["name"]: vector for vector in VECTORS}


def test_every_frame_type_has_a_vector():
    assert {vector["frame"]["type"] for vector in VECTORS} == set(TYPES.values())


@pytest.mark.parametrize("vector", VECTORS, ids=BY_NAME)
def test_the_codec_of_these_tests_agrees(vector):
    assert encode(vector["frame"]).hex() == vector["hex"]
    assert decode(bytes.fromhex(vector["hex"])) == vector["frame"]


def test_the_worker_reads_every_open(start, loop):
    """The application sees what the vector says; what was revoked it doesn't see, and what is no HTTP is refused."""
    worker = start("asgi:describe", loop=loop).ready()
    for vector in VECTORS:
        frame = vector["frame"]
        if frame["type"] != "OPEN":
            continue
        worker.links[0].write(bytes.fromhex(vector["hex"]))
        if frame["claim"] == 0:
            reply = worker.next_frame(worker.links[0], frame["stream"])
            if frame["kind"] != 1:
                assert (reply["type"], reply["aux"]) == ("RESET", 4)
                continue
            seen = json.loads(reply["body"])
            expected = {key: frame[key] for key in seen}
            assert seen == {**expected, "body": frame["body"] if frame["method"] == "PUT" else ""}
    assert worker.get("/after")[0] == 200
    assert worker.links[0].read() is None


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
