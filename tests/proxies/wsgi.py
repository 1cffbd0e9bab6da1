"""The WSGI application of tests/proxies."""

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

BLOCK = bytes(range(256)) * 256  # 64 KiB

gates: dict[str, threading.Event] = defaultdict(threading.Event)
events: dict[str, threading.Event] = defaultdict(threading.Event)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


def app(environ: Environ, start_response: StartResponse) -> Any:
    query = {name: values[-1] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    return ROUTES.get(environ["PATH_INFO"], environ_of)(environ, start_response, query)


def environ_of(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> list[bytes]:
    """The environ as JSON: for any path that is no route."""
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    seen["body"] = environ["wsgi.input"].read().decode("latin-1")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]


def hello(environ: Environ, start_response: StartResponse, query: dict[str, str]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, world!"]


ROUTES: dict[str, Callable[[Environ, StartResponse, dict[str, str]], Any]] = {
    "/hello": hello,
}
