"""The WSGI application of test_wsgi_errors.py: whatever an application can do wrong. The path names the mistake."""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wsgi_cases import LOG, PLAIN, Body, Environ, Start, arguments, note

#: Mistakes by what they do; `start` says 200 with one field, so that only the mistake is one.
Mistake = Callable[[Start], Any]


def begun(result: object) -> Mistake:
    """Says 200, and returns what is no body."""

    def mistake(start: Start) -> object:
        start("200 OK", PLAIN)
        return result

    return mistake


def yielding(*items: object) -> Mistake:
    return lambda start: (start("200 OK", PLAIN), Body(iter(items)))[1]  # type: ignore[arg-type]


def saying(status: object = "200 OK", headers: object = PLAIN, *more: object, **names: object) -> Mistake:
    return lambda start: (start(status, headers, *more, **names), [b"body"])[1]


def writing(*data: object) -> Mistake:
    def mistake(start: Start) -> object:
        write = start("200 OK", PLAIN)
        for part in data:
            write(part)  # type: ignore[arg-type]
        return [b"rest"]

    return mistake


def raising(error: BaseException, *before: bytes) -> Mistake:
    def produce() -> Iterator[bytes]:
        yield from before
        raise type(error)(*error.args)  # one raised twice would keep both tracebacks

    return lambda start: (start("200 OK", PLAIN), Body(produce()))[1]


def at_once(error: BaseException) -> Mistake:
    def mistake(start: Start) -> object:
        raise type(error)(*error.args)

    return mistake


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class NotIterable:
    def __iter__(self) -> object:
        return 5


class BadIter:
    def __iter__(self) -> object:
        raise LookupError("in __iter__")

    def close(self) -> None:
        note("closed")


class BadClose:
    close = 5

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"all"])


async def coroutine() -> list[bytes]:
    return []


async def generator() -> Any:
    yield b""


def twice(start: Start) -> object:
    start("200 OK", PLAIN)
    start("201 Created", PLAIN)
    return [b"body"]


def twice_late(start: Start) -> Iterator[bytes]:
    start("200 OK", PLAIN)
    yield b"part"
    start("201 Created", PLAIN)


def error_late(start: Start) -> Iterator[bytes]:
    start("200 OK", PLAIN)
    yield b"part"
    try:
        raise ValueError("told late")
    except ValueError:
        start("500 Late", PLAIN, sys.exc_info())


def exc_info_late(*value: object) -> Mistake:
    def mistake(start: Start) -> Iterator[bytes]:
        start("200 OK", PLAIN)
        yield b"part"
        start("500 Late", PLAIN, value)

    return mistake


def field(name: object = "X-Field", value: object = "value", *more: object) -> Mistake:
    return saying("200 OK", [(name, value, *more)])


BEFORE: dict[str, Mistake] = {
    "status is bytes": saying(b"200 OK"),
    "status is an int": saying(200),
    "status is None": saying(None),
    "status is empty": saying(""),
    "status without a space": saying("200OK"),
    "status of words": saying("OK"),
    "status of two digits": saying("20 OK"),
    "status of four digits": saying("2000 OK"),
    "status with other digits": saying("\u0662\u0660\u0660 OK"),
    "status is interim": saying("100 Continue"),
    "status is too small": saying("099 Odd"),
    "status with CR LF": saying("200 OK\r\nX-Evil: 1"),
    "status with LF at its end": saying("200 OK\n"),
    "status with NUL": saying("200 O\0K"),
    "status outside latin-1": saying("200 \u20ac"),
    "status too long": saying("200 " + "x" * 2000),
    "headers are a tuple": saying("200 OK", (("A", "b"),)),
    "headers are a dict": saying("200 OK", {"A": "b"}),
    "headers are None": saying("200 OK", None),
    "headers are an iterator": saying("200 OK", iter([])),
    "header is a list": saying("200 OK", [["A", "b"]]),
    "header is a str": saying("200 OK", ["A: b"]),
    "header of three": field("A", "b", "c"),
    "header of one": saying("200 OK", [("A",)]),
    "name is bytes": field(b"X-Field"),
    "name is empty": field(""),
    "name with a space": field("X Field"),
    "name with a colon": field("X:"),
    "name with CR LF": field("X\r\nY"),
    "name outside ASCII": field("X-\xe9"),
    "name outside latin-1": field("X-\u20ac"),
    "value is bytes": field("A", b"b"),
    "value is an int": field("Content-Length", 5),
    "value is None": field("A", None),
    "value with CR LF": field("A", "b\r\nX-Evil: 1"),
    "value with LF": field("A", "b\nc"),
    "value with CR": field("A", "b\rc"),
    "value with NUL": field("A", "\0"),
    "value with DEL": field("A", "\x7f"),
    "value outside latin-1": field("A", "\u20ac"),
    "value too long": field("A", "x" * 70_000),
    "too many fields": saying("200 OK", [("A", "x" * 100)] * 3000),
    "length is a word": field("Content-Length", "five"),
    "length is negative": field("Content-Length", "-5"),
    "length is empty": field("Content-Length", ""),
    "lengths differ": saying("200 OK", [("Content-Length", "4"), ("Content-Length", "5")]),
    "start_response without headers": lambda start: start("200 OK"),
    "start_response with another keyword": saying("200 OK", PLAIN, reason="x"),
    "exc_info is no tuple": saying("200 OK", PLAIN, "error"),
    "start_response twice": twice,
    "no start_response": lambda start: [b"body"],
    "no start_response and no body": lambda start: [],
    "no start_response in a generator": lambda start: iter([b"", b"body"]),
    "no start_response, with a generator's end": lambda start: iter([b""]),
    "returns None": begun(None),
    "returns str": begun("body"),
    "returns bytes": begun(b"body"),
    "returns bytearray": begun(bytearray(b"body")),
    "returns an int": begun(5),
    "returns a coroutine": lambda start: coroutine(),
    "returns an asynchronous generator": lambda start: generator(),
    "returns a list of str": begun(["body"]),
    "returns a tuple of str": begun(("body",)),
    "returns what has no iterator": begun(NotIterable()),
    "__iter__ raises": begun(BadIter()),
    "yields str": yielding("text"),
    "yields str after empty bytes": yielding(b"", "text"),
    "yields None": yielding(None),
    "yields an int": yielding(5),
    "yields bytearray": yielding(bytearray(b"x")),
    "yields memoryview": yielding(memoryview(b"x")),
    "yields a list": yielding([b"x"]),
    "writes str": writing("text"),
    "writes None": writing(None),
    "writes bytearray": writing(bytearray(b"x")),
    "raises": at_once(ValueError("at once")),
    "raises StopIteration": at_once(StopIteration("at once")),
    "raises GeneratorExit": at_once(GeneratorExit("at once")),
    "raises CancelledError": at_once(asyncio.CancelledError("at once")),
    "raises KeyboardInterrupt": at_once(KeyboardInterrupt("at once")),
    "raises BaseException": at_once(BaseException("at once")),
    "raises what can't be printed": at_once(Unprintable()),
    "raises what has a long name": at_once(type("\u20ac" + "Long" * 1000, (Exception,), {})()),
    "raises in the generator": raising(KeyError("first")),
    "raises in the generator after empty bytes": raising(KeyError("second"), b"", b""),
    "raises GeneratorExit in the generator": raising(GeneratorExit("first")),
}

AFTER: dict[str, Mistake] = {
    "raises later": raising(KeyError("later"), b"part"),
    "raises BaseException later": raising(BaseException("later"), b"part"),
    "yields str later": yielding(b"part", "text"),
    "yields None later": yielding(b"part", None),
    "writes str later": writing(b"part", "text"),
    "start_response twice, later": twice_late,
    "exc_info later": error_late,
    "exc_info of None later": exc_info_late(None, None, None),
    "exc_info of one later": exc_info_late(ValueError("x")),
    "exc_info of words later": exc_info_late("a", "b", "c"),
    "exc_info with no traceback later": exc_info_late(ValueError, ValueError("x"), "here"),
}

WHOLE: dict[str, Mistake] = {
    "close raises": lambda start: (start("200 OK", PLAIN), Body([b"all"], fail=ValueError("in close")))[1],
    "close can't be called": lambda start: (start("200 OK", PLAIN), BadClose())[1],
}

MISTAKES = BEFORE | AFTER | WHOLE


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/mistake":
        return MISTAKES[arguments(environ)["name"]](start_response)  # type: ignore[no-any-return]
    if path == "/exit":
        sys.exit(3)
    start_response("200 OK", PLAIN)
    if path == "/pid":
        return [str(os.getpid()).encode()]
    if path == "/objects":  # whatever a mistake left behind
        gc.collect()
        errors = sum(isinstance(thing, BaseException) for thing in gc.get_objects())
        return [json.dumps([len(gc.get_objects()), errors]).encode()]
    if path == "/log":
        result, LOG[:] = list(LOG), []
        return [json.dumps(result).encode()]
    return [b"hello"]
