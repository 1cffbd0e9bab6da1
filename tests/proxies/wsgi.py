"""The WSGI application of tests/proxies; asgi.py answers the same paths.

`/open?gate=NAME` opens a gate that other requests wait for, `/event?of=NAME` answers when another request has noted that event,
with what it noted: so tests never sleep.
"""

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any
from urllib.parse import parse_qs
from wsgiref.validate import check_environ

BLOCK = bytes(range(256)) * 256  # 64 KiB
WAIT = 20

gates: dict[str, threading.Event] = defaultdict(threading.Event)
events: "dict[str, Queue[str]]" = defaultdict(Queue)

Environ = dict[str, Any]
Query = dict[str, str]
StartResponse = Callable[..., Any]


def app(environ: Environ, start_response: StartResponse) -> Any:
    query = {name: values[-1] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    return ROUTES.get(environ["PATH_INFO"], seen)(environ, start_response, query)


def seen(environ: Environ, start_response: StartResponse, query: Query) -> list[bytes]:
    """The environ as JSON: for any path that is no route."""
    check_environ(environ)
    texts = {name: value for name, value in environ.items() if isinstance(value, str)}
    texts["body"] = environ["wsgi.input"].read().decode("latin-1")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(texts).encode()]


def hello(environ: Environ, start_response: StartResponse, query: Query) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, world!"]


def open_gate(environ: Environ, start_response: StartResponse, query: Query) -> list[bytes]:
    gates[query["gate"]].set()
    return hello(environ, start_response, query)


def event(environ: Environ, start_response: StartResponse, query: Query) -> list[bytes]:
    word = events[query["of"]].get(timeout=WAIT)
    start_response("200 OK", [])
    return [word.encode()]


def items(environ: Environ, start_response: StartResponse, query: Query) -> Iterator[bytes]:
    """Two items; the second when the gate opens."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one,"
    gates[query["gate"]].wait(WAIT)
    yield b"two"


def digest(environ: Environ, start_response: StartResponse, query: Query) -> list[bytes]:
    """Length and checksum of the body; how an unfinished one ends is noted."""
    total, checksum = 0, hashlib.sha256()
    try:
        while data := environ["wsgi.input"].read(len(BLOCK)):
            if not total and "note" in query:
                events[query["note"]].put("begun")
            total += len(data)
            checksum.update(data)
    except OSError as error:
        if "note" in query:
            events[query["note"]].put(type(error).__name__)
        raise
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{total} {checksum.hexdigest()}".encode()]


class Flood:
    """More and more blocks, until somebody closes it."""

    def __init__(self, note: str) -> None:
        self.note = note

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield BLOCK

    def close(self) -> None:
        events[self.note].put("gone")


def flood(environ: Environ, start_response: StartResponse, query: Query) -> Flood:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Flood(query["note"])


def status(environ: Environ, start_response: StartResponse, query: Query) -> list[bytes]:
    """The status, fields and body that the query names."""
    start_response(f"{query['code']} Some", [tuple(field) for field in json.loads(query.get("fields", "[]"))])
    return [query.get("body", "").encode()]


def raises(environ: Environ, start_response: StartResponse, query: Query) -> list[bytes]:
    raise RuntimeError("as the test wants it")


def file(environ: Environ, start_response: StartResponse, query: Query) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](open(query["path"], "rb"))


ROUTES: dict[str, Callable[[Environ, StartResponse, Query], Any]] = {
    "/hello": hello,
    "/open": open_gate,
    "/event": event,
    "/items": items,
    "/digest": digest,
    "/flood": flood,
    "/status": status,
    "/raises": raises,
    "/file": file,
}
