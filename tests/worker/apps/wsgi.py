"""A WSGI application whose paths are test cases."""

from __future__ import annotations

import io
import json
import sys
import threading
from urllib.parse import unquote
from wsgiref.validate import validator

LOG = []
CASES = {}
GATE = threading.Event()
BARRIER = threading.Barrier(4)


def case(function):
    CASES["/" + function.__name__] = function
    return function


def app(environ, start_response):
    return CASES[environ["PATH_INFO"]](environ, start_response)


def reply(start_response, value, status="200 OK"):
    start_response(status, [("Content-Type", "text/plain")])
    return [value if isinstance(value, bytes) else json.dumps(value).encode()]


def error_of(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "nothing raised"


@case
def hello(environ, start_response):
    return reply(start_response, b"hello")


@case
def log(environ, start_response):
    return reply(start_response, LOG)


@case
def environ_of(environ, start_response):
    strings = {key: value for key, value in environ.items() if isinstance(value, (str, bool, int))}
    assert type(environ) is dict
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.errors"] is sys.stderr
    return reply(start_response, strings)


CASES[""] = CASES["/caf\xc3\xa9"] = CASES["/sub/environ_of"] = environ_of


@case
def read_all(environ, start_response):
    return reply(start_response, environ["wsgi.input"].read())


@case
def reads(environ, start_response):
    file = environ["wsgi.input"]
    parts = [
        file.read(3),
        file.read(0),
        file.readline(),
        file.readline(4),
        file.readline(100),
        *file.readlines(5),
        file.read(1000),
    ]
    parts += [file.read(), file.read(5), file.readline(), *file.readlines(), *file]
    return reply(start_response, [part.decode() for part in parts])


@case
def iterate(environ, start_response):
    return reply(start_response, [line.decode() for line in environ["wsgi.input"]])


@case
def length(environ, start_response):
    total = 0
    while part := environ["wsgi.input"].read(10_000):
        total += len(part)
    return reply(start_response, total)


@case
def read_error(environ, start_response):
    LOG.append(error_of(environ["wsgi.input"].read))
    return reply(start_response, b"")


class Items:
    """An iterable that notes its close()."""

    def __init__(self, items, on_close=None):
        self.items = items
        self.on_close = on_close

    def __iter__(self):
        return iter(self.items)

    def close(self):
        LOG.append("closed")
        if self.on_close:
            self.on_close()


@case
def stream(environ, start_response):
    """Items one by one, each let out by a part of the request's body."""

    def items():
        start_response("200 OK", [])
        while environ["wsgi.input"].read(1):
            yield b"item"
            yield b""

    return Items(items())


@case
def write(environ, start_response):
    write = start_response("200 OK", [])
    write(b"written ")
    write(b"")
    return [b"and ", b"returned"]


@case
def write_text(environ, start_response):
    start_response("200 OK", [])("text")


@case
def empty_list(environ, start_response):
    start_response("204 No Content", [("X-A", "1")])
    return []


@case
def status(environ, start_response):
    start_response(unquote(environ["QUERY_STRING"], "latin-1"), [("X-A", "1")])
    return [b"body"]


@case
def hints(environ, start_response):
    hint = environ["wsgi.early_hints"]
    hint([("Link", "</a.css>; rel=preload"), (b"link", b"</b>")])
    hint(())
    for mistake in (5, ["Link"], [("Link", "a\r\nb")], [("Link", 5)]):
        LOG.append(error_of(hint, mistake))
    write = start_response("200 OK", [])
    write(b"body")
    LOG.append(error_of(hint, []))
    return []


@case
def two_items(environ, start_response):
    start_response("200 OK", [])
    return [b"a", b"b"]


@case
def text_chunk(environ, start_response):
    start_response("200 OK", [])
    return Items(["text"])


@case
def no_start(environ, start_response):
    return [b"body"]


@case
def raises(environ, start_response):
    raise ValueError("before the head")


@case
def raises_later(environ, start_response):
    def items():
        yield b"part"
        raise ValueError("after the head")

    start_response("200 OK", [])
    return Items(items())


@case
def raises_in_close(environ, start_response):
    def fail():
        raise ValueError("in close")

    start_response("200 OK", [])
    return Items([b"all"], fail)


@case
def replaced_head(environ, start_response):
    start_response("200 OK", [("X-Old", "1")])
    try:
        raise ValueError("replaced")
    except ValueError:
        start_response("500 Oops", [("X-New", "1")], sys.exc_info())
    return [b"page"]


@case
def late_error(environ, start_response):
    write = start_response("200 OK", [])
    write(b"part")
    try:
        raise ValueError("late")
    except ValueError:
        start_response("500 Oops", [], sys.exc_info())


@case
def mistakes(environ, start_response):
    results = [
        error_of(start_response, *arguments)
        for arguments in (
            (200, []),
            ("abc", []),
            ("200", [], "no tuple"),
            ("100 Continue", []),
            ("200 OK\r\nX: y", []),
            ("200 OK", ()),
            ("200 OK", [["a", "b"]]),
            ("200 OK", [("a", b"b")]),
            ("200 OK", [("a", "b\r\n")]),
            ("200 OK", [("a", "\u20ac")]),
            ("200 OK", [("a b", "c")]),
        )
    ]
    start_response("200 OK", [])
    results.append(error_of(start_response, "200 OK", []))
    return [json.dumps(results).encode()]


@case
def big(environ, start_response):
    start_response("200 OK", [])
    return Items([bytes(range(256)) * 2000, b"y" * 100_000])


@case
def endless(environ, start_response):
    def items():
        while True:
            yield b"x" * 10_000

    start_response("200 OK", [])
    return Items(items())


@case
def file(environ, start_response):
    start_response("200 OK", [])
    source = io.BytesIO(b"f" * 150_000)
    wrapped = environ["wsgi.file_wrapper"](source, 8192)
    LOG.append(wrapped.close == source.close)
    return wrapped


@case
def thread(environ, start_response):
    return reply(start_response, threading.current_thread().name)


@case
def together(environ, start_response):
    """Needs four requests at once."""
    BARRIER.wait(15)
    return reply(start_response, b"together")


@case
def wait_gate(environ, start_response):
    GATE.wait(15)
    LOG.append("through")
    return reply(start_response, b"through")


@case
def running(environ, start_response):
    return reply(start_response, str(len(LOG)))


@case
def open_gate(environ, start_response):
    GATE.set()
    return reply(start_response, b"")


@case
def exit(environ, start_response):
    sys.exit(7)


@case
def spin(environ, start_response):
    from asgi import _spin

    _spin()


@validator
def validated(environ, start_response):
    body = environ["wsgi.input"].read(5)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Items([b"<", body, b">"])


class ClassStyle:
    """WSGI as a class: an instance per request, iterated."""

    def __init__(self, environ, start_response):
        start_response("200 OK", [])

    def __iter__(self):
        yield b"class"
