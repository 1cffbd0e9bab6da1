"""The corpus of requests, valid, hostile and ambiguous, through the real server: each has its outcome, however it comes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import ROOT, Server, StartServer
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
CORPUS = ROOT / "internal" / "http1" / "testdata" / "requests"
# The limits that the corpus was written for.
LIMITS = ("--limit-request-line", "512", "--limit-request-fields", "24", "--limit-request-field-size", "512")
# Their outcome depends on limits that are no settings.
OTHERWISE = {"request head too large", "trailer fields too large"}


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server("corpus:app", HERE, "--no-access-log", "--log-level", "warning", "--ws", "none", *LIMITS)


def files(kind: str) -> Iterator[object]:
    for path in sorted((CORPUS / kind).glob("*.http")):
        expect = path.with_suffix(".expect").read_text("latin-1")
        whole = kind == "invalid" or "\nbody: none\n" in expect or "\ncontent: " in expect
        if whole and not any(text in expect for text in OTHERWISE):
            yield pytest.param(path.read_bytes(), expect, id=path.stem)


def ways(raw: bytes) -> Iterator[list[bytes]]:
    """The bytes at once, cut in the middle, and one by one."""
    yield [raw]
    yield [raw[: len(raw) // 2], raw[len(raw) // 2 :]]
    if len(raw) < 400:
        yield [raw[i : i + 1] for i in range(len(raw))]


# spec: http 1
# spec: http 2
# spec: http 3
@pytest.mark.parametrize(("raw", "expect"), list(files("invalid")))
def test_a_request_that_breaks_a_rule_is_refused_and_nothing_after_it_is_read(server: Server, raw: bytes, expect: str) -> None:
    status = int(expect.split()[0])
    for pieces in ways(raw + b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"):
        with Connection(server) as connection:
            for piece in pieces:
                try:
                    connection.send(piece)
                except OSError:  # refused before the end
                    break
            response = connection.response()
            assert response.status == status
            assert response["connection"] == "close"
            assert connection.ends()
    assert fetch(server, "/").status == 200


# spec: http 1
# spec: http 2
# spec: http 10
# spec: http 12
@pytest.mark.parametrize(("raw", "expect"), list(files("valid")))
def test_a_request_reaches_the_application_as_it_was(server: Server, raw: bytes, expect: str) -> None:
    lines = dict(line.split(": ", 1) for line in expect.splitlines() if not line.startswith("field"))
    fields = [line.removeprefix("field: ").split(": ", 1) for line in expect.splitlines() if line.startswith("field")]
    content = json.loads(lines.get("content", '""').replace("\t", "\\t"))
    for pieces in ways(raw):
        with Connection(server) as connection:
            for piece in pieces:
                connection.send(piece)
            response = connection.response(lines["method"])
            if response.status == 100:  # the body came after the application had asked for it
                response = connection.response(lines["method"])
            if lines["method"] == "HEAD":
                assert response.status == 200
                continue
            assert json.loads(response.body) == {
                "method": lines["method"].upper(),  # as ASGI wants it
                "path": lines["path"],
                "query": lines.get("query", ""),
                "version": lines["version"],
                "fields": [[name.lower(), value] for name, value in fields],
                "content": content,
            }
            if lines["keep-alive"] == "no":
                assert connection.ends()
            elif "rest" not in lines:
                assert connection.get("/again").status == 200
