"""The WSGI application of test_wsgi*.py: a case for each path. `validated` is the same in wsgiref's validator."""

# ruff: noqa: SIM115 (files that the server closes)

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.validate import validator

Environ = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Write = Callable[[bytes], object]
Start = Callable[..., Write]
Application = Callable[[Environ, Start], Iterable[bytes]]

PLAIN = [("Content-Type", "text/plain")]
LOG: list[str] = []  # what happened when nobody could be told
NEWS = threading.Condition()
BARRIER = threading.Barrier(3)
LOCAL = threading.local()
GATE = threading.Semaphore(0)
CASES: dict[str, Application] = {}


def case(function: Application) -> Application:
    CASES["/" + function.__name__] = function
    return function


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return CASES.get(environ["PATH_INFO"], environment)(environ, start_response)


validated = validator(app)


def arguments(environ: Environ) -> dict[str, str]:
    return dict(parse_qsl(environ["QUERY_STRING"]))


def note(text: str) -> None:
    with NEWS:
        LOG.append(text)
        NEWS.notify_all()


def answer(start_response: Start, value: object) -> list[bytes]:
    start_response("200 OK", PLAIN)
    return [value if isinstance(value, bytes) else json.dumps(value).encode()]


class Body:
    """An iterable that notes its close()."""

    def __init__(self, items: Iterable[bytes], name: str = "closed", fail: BaseException | None = None) -> None:
        self.items, self.name, self.fail = items, name, fail

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.items)

    def close(self) -> None:
        note(self.name)
        if self.fail:
            raise self.fail


class NoLength:
    """An iterator that is nothing else."""

    def __init__(self, items: list[bytes]) -> None:
        self.items = items

    def __iter__(self) -> "NoLength":
        return self

    def __next__(self) -> bytes:
        if not self.items:
            raise StopIteration
        return self.items.pop(0)


class OldSequence:
    """Iterable by __getitem__ alone."""

    def __getitem__(self, index: int) -> bytes:
        return [b"one ", b"two"][index]


class Text(bytes):
    pass


def environment(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Every variable with its type."""
    described = {key: [type(value).__name__, value if isinstance(value, (str, bool)) else ""] for key, value in environ.items()}
    described["type"] = [type(environ).__name__, ""]
    environ.clear()  # the application may do what it likes with it
    return answer(start_response, described)


@case
def log(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """What was noted since the last time, once there is as much as asked for."""
    count = int(environ["QUERY_STRING"] or 0)
    with NEWS:
        NEWS.wait_for(lambda: len(LOG) >= count, 10)
        result, LOG[:] = list(LOG), []
    return answer(start_response, result)


@case
def hello(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return answer(start_response, b"hello")


def temporary() -> Iterable[bytes]:
    """An open file, which is an iterable of lines and has a close()."""
    file = tempfile.TemporaryFile()
    file.write(b"one two")
    file.seek(0)
    return file


@case
def items(environ: Environ, start_response: Start) -> Iterable[bytes]:
    kinds: dict[str, Callable[[], Iterable[bytes]]] = {
        "list": lambda: [b"one ", b"two"],
        "one": lambda: [b"one two"],
        "tuple": lambda: (b"one ", b"two"),
        "one tuple": lambda: (b"one two",),
        "generator": lambda: (item for item in (b"one ", b"two")),
        "iterator": lambda: NoLength([b"one ", b"two"]),
        "old": OldSequence,
        "body": lambda: Body([b"one ", b"two"]),
        "empties": lambda: [b"", b"one ", b"", b"two", b""],
        "subclass": lambda: [Text(b"one "), Text(b"two")],
        "set": lambda: {b"one two"},
        "dict": lambda: {b"one two": 1},
        "file": temporary,
        "none": list,
        "none tuple": lambda: (),
        "none generator": lambda: (item for item in ()),
        "all empty": lambda: [b"", b""],
        "one empty": lambda: [b""],
    }
    start_response("200 OK", PLAIN)
    return kinds[arguments(environ)["kind"]]()


@case
def status(environ: Environ, start_response: Start) -> Iterable[bytes]:
    line = arguments(environ)["line"]
    start_response(line, [] if line[:3] in ("204", "304") else PLAIN)
    return [] if line[:3] in ("204", "304") else [b"body"]


@case
def headers(environ: Environ, start_response: Start) -> Iterable[bytes]:
    fields = [
        ("Content-Type", "text/plain"),
        ("X-Same", "1"),
        ("x-same", "2"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-Latin", "caf\xe9"),
        ("X-Empty", ""),
    ]
    start_response("200 OK", fields)
    fields.clear()  # what was handed over is the server's
    return [b"body"]


@case
def hop_by_hop(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [*PLAIN, ("Transfer-Encoding", "chunked"), ("Keep-Alive", "5"), ("Connection", "keep-alive")])
    return [b"bo", b"dy"]


@case
def written(environ: Environ, start_response: Start) -> Iterable[bytes]:
    write = start_response("200 OK", PLAIN)
    write(b"one ")
    write(b"")
    write(b"two ")
    return [b"three"]


@case
def only_written(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)(b"all")
    return []


@case
def late_start(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("201 Made", PLAIN)
    yield b"made"


class AsClass:
    """WSGI by a class: an instance is the response."""

    def __init__(self, environ: Environ, start_response: Start) -> None:
        self.start = start_response

    def __iter__(self) -> Iterator[bytes]:
        self.start("200 OK", PLAIN)
        yield b"class"


CASES["/as_class"] = AsClass


@case
def replaced(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [*PLAIN, ("X-Old", "1")])
    try:
        raise ValueError("replaced")
    except ValueError:
        start_response("500 Replaced", [*PLAIN, ("X-New", "1")], sys.exc_info())
    return [b"page"]


@case
def replaced_late(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Nothing but empty strings came before it."""
    start_response("200 OK", PLAIN)
    yield b""
    try:
        raise ValueError("replaced")
    except ValueError:
        start_response("503 Replaced", PLAIN, sys.exc_info())
    yield b"page"


@case
def length(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """A Content-Length, and a body of another length."""
    given = arguments(environ)
    start_response(given.get("status", "200 OK"), [*PLAIN, ("Content-Length", given["says"])])
    return Body([b"x"] * int(given["has"]))


@case
def no_body(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """A body where there must be none."""
    start_response(arguments(environ)["line"], [])
    return Body([b"not to ", b"be seen"])


@case
def stream(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Items one by one, each let out by one request of /open."""

    def produce() -> Iterator[bytes]:
        for number in range(3):
            assert GATE.acquire(timeout=10)
            yield b"item %d" % number

    start_response("200 OK", PLAIN)
    return Body(produce())


@case
def stream_written(environ: Environ, start_response: Start) -> Iterable[bytes]:
    write = start_response("200 OK", PLAIN)
    for number in range(3):
        assert GATE.acquire(timeout=10)
        write(b"item %d" % number)
    return []


@case
def shut(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Takes back what was opened too often."""
    while GATE.acquire(blocking=False):
        pass
    return answer(start_response, b"")


CASES["/open"] = lambda environ, start_response: answer(start_response, GATE.release())


@case
def endless(environ: Environ, start_response: Start) -> Iterable[bytes]:
    def produce() -> Iterator[bytes]:
        while True:
            yield b"x" * 10_000

    start_response("200 OK", PLAIN)
    return Body(produce(), "closed " + environ["QUERY_STRING"])


@case
def endless_written(environ: Environ, start_response: Start) -> Iterable[bytes]:
    write = start_response("200 OK", PLAIN)
    try:
        while True:
            write(b"x" * 10_000)
    except OSError as error:
        note(f"{type(error).__name__} {environ['QUERY_STRING']}")
        raise


@case
def gated(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Goes on when the client has left, which the next item tells."""

    def produce() -> Iterator[bytes]:
        yield b"first"
        while True:
            assert GATE.acquire(timeout=10)
            yield b"another"

    start_response("200 OK", PLAIN)
    return Body(produce(), "closed gated")


@case
def reads(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """The operations that the header field X-Plan names, and what each gives."""
    body = environ["wsgi.input"]
    results: list[object] = []
    for name, *numbers in json.loads(environ["HTTP_X_PLAN"]):
        if name == "iterate":
            results.append([line.decode("latin-1") for line in body])
        elif name == "next":
            results.append(next(iter(body), b"at the end").decode("latin-1"))
        else:
            found = getattr(body, name)(*numbers)
            results.append([part.decode("latin-1") for part in found] if isinstance(found, list) else found.decode("latin-1"))
    return answer(start_response, results)


@case
def count(environ: Environ, start_response: Start) -> Iterable[bytes]:
    total = 0
    while part := environ["wsgi.input"].read(1 << 16):
        total += len(part)
    return answer(start_response, [total, bool(environ.get("wsgi.input_terminated")), environ.get("CONTENT_LENGTH", "none")])


@case
def echo(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Sends while it reads."""
    start_response("200 OK", PLAIN)
    while part := environ["wsgi.input"].read(1000):
        yield part


@case
def read_fails(environ: Environ, start_response: Start) -> Iterable[bytes]:
    try:
        environ["wsgi.input"].read(1000)
    except OSError as error:
        note(f"{type(error).__name__}: {error}")
        raise
    return answer(start_response, b"read")


@case
def read_too_late(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Reads when the response is over: in close(), and from a thread of its own that began before."""
    body = environ["wsgi.input"]

    def read(name: str) -> None:
        try:
            note(f"{name}: {body.read(1000)!r}")
        except OSError as error:
            note(f"{name}: {type(error).__name__}: {error}")

    thread = threading.Thread(target=read, args=("thread",))
    thread.start()

    class Late(Body):
        def close(self) -> None:
            thread.join(10)
            read("close")

    start_response("200 OK", PLAIN)
    return Late([b"over"])


@case
def read_by_many(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Several threads read one body: nobody does that, and nothing may break."""
    parts: list[bytes] = []

    def read() -> None:
        while part := environ["wsgi.input"].read(100):
            parts.append(part)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answer(start_response, [sum(map(len, parts)), sorted(set(b"".join(parts).decode()))])


@case
def write_by_many(environ: Environ, start_response: Start) -> Iterable[bytes]:
    write = start_response("200 OK", PLAIN)
    threads = [
        threading.Thread(target=lambda data: [write(data) for _ in range(100)], args=(b"%d" % n * 1000,)) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return []


@case
def read_and_write(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """One thread reads the body while another sends the response."""
    write = start_response("200 OK", PLAIN)
    total = []

    def read() -> None:
        size = 0
        while part := environ["wsgi.input"].read(5000):
            size += len(part)
        total.append(size)

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(200):
        write(b"y" * 5000)
    thread.join()
    return [b" %d" % total[0]]


@case
def write_after_the_end(environ: Environ, start_response: Start) -> Iterable[bytes]:
    write = start_response("200 OK", PLAIN)

    class Late(Body):
        def close(self) -> None:
            try:
                write(b"late")
                note("written")
            except AssertionError as error:
                note(str(error))

    return Late([b"all"])


@case
def errors(environ: Environ, start_response: Start) -> Iterable[bytes]:
    out = environ["wsgi.errors"]
    out.write("written: \xe9 \u20ac\n")
    out.writelines(["line one\n", "line two\n"])
    out.write("unfinished")
    out.flush()
    out.write(", finished\n")
    print("printed", file=out)
    return answer(start_response, b"")


@case
def hints(environ: Environ, start_response: Start) -> Iterable[bytes]:
    environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload; as=style"), ("Link", "</b.js>; rel=preload")])
    environ["wsgi.early_hints"]([("Link", "</c.js>; rel=preload")])
    return answer(start_response, b"body")


@case
def whole(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """A file, with the options that the query names."""
    given = arguments(environ)
    file = open(given["path"], "rb", buffering=-1 if given.get("buffered") else 0)
    file.read(int(given.get("read", 0)))
    fields = [("Content-Length", given["length"])] if "length" in given else []
    write = start_response(
        given.get("status", "200 OK"), fields if given.get("status", "2")[:3] in ("204", "304") else PLAIN + fields
    )
    if "written" in given:
        write(given["written"].encode())
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
    return (item for item in wrapped) if "iterated" in given else wrapped


@case
def descriptors(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return answer(start_response, [os.getpid(), len(os.listdir("/proc/self/fd")), time.process_time()])


@case
def together(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Needs three requests at once."""
    LOCAL.mine = environ["QUERY_STRING"]
    BARRIER.wait(10)
    thread = threading.current_thread()
    assert thread.ident == threading.get_ident()
    return answer(start_response, [thread.name, thread is threading.main_thread(), LOCAL.mine])


@case
def thread(environ: Environ, start_response: Start) -> Iterable[bytes]:
    LOCAL.count = getattr(LOCAL, "count", 0) + 1
    current = threading.current_thread()
    return answer(
        start_response, [current.name, current is threading.main_thread(), LOCAL.count, current in threading.enumerate()]
    )


@case
def waits(environ: Environ, start_response: Start) -> Iterable[bytes]:
    note("waits")
    assert GATE.acquire(timeout=10)
    return answer(start_response, b"waited")


@case
def reads_fifo(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Waits for what the test writes; to open it for writing is to know that this runs."""
    with open(environ["QUERY_STRING"], "rb") as fifo:
        return answer(start_response, fifo.read() + b" %d" % os.getpid())


@case
def paced(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """An item for each byte that the test writes; an empty one for a 0."""

    def produce() -> Iterator[bytes]:
        with open(environ["QUERY_STRING"], "rb", buffering=0) as fifo:
            while byte := fifo.read(1):
                yield byte.strip(b"0")

    start_response("200 OK", PLAIN)
    return Body(produce(), "closed paced")


@case
def handled_signal(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Only a main thread may set a handler, and it runs there."""
    heard: list[str] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(threading.current_thread().name))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)
    return answer(start_response, heard)
