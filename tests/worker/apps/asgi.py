"""An ASGI application whose paths are test cases: ``/name`` runs the function ``name``."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading

import asgi_tasks  # noqa: F401 (its functions are cases, too)
from cases import CASES, GATES, LOG, case, error_of, new_gate, reply

import awaitd


async def app(scope, receive, send):
    if scope["type"] == "http":
        await CASES[scope["path"]](scope, receive, send)


@case
async def hello(scope, receive, send):
    await reply(send, b"hello")


@case
async def log(scope, receive, send):
    await reply(send, LOG)


@case
async def echo(scope, receive, send):
    """The body, in the messages it came in."""
    messages = []
    while True:
        message = await receive()
        messages.append([message["type"], message["body"].decode("latin-1"), message["more_body"]])
        if not message["more_body"]:
            break
    await reply(send, messages)


@case
async def lengths(scope, receive, send):
    """The lengths of the body's messages."""
    lengths, more = [], True
    while more:
        message = await receive()
        lengths.append(len(message["body"]))
        more = message["more_body"]
    await reply(send, lengths)


@case
async def gated_read(scope, receive, send):
    """Reads one message for each request to /gate."""
    gate = new_gate()
    await send({"type": "http.response.start", "status": 200})
    more = True
    while more:
        await gate.wait()
        gate.clear()
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": b"%d" % len(message["body"]), "more_body": True})
    await send({"type": "http.response.body"})


@case
async def open_gate(scope, receive, send):
    GATES[0].set()
    await reply(send, b"")


@case
async def wait_disconnect(scope, receive, send):
    """Waits for the client to leave, with the head out; then says what it got, twice."""
    first = await receive()
    await send({"type": "http.response.start", "status": 200})
    LOG.append([first, await receive(), await receive()])
    LOG[-1][0]["body"] = ""
    LOG.append(await error_of(lambda: send({"type": "http.response.body"})))


@case
async def two_waiters(scope, receive, send):
    """Two tasks wait for the client to leave; one is cancelled, the other must hear it."""
    await receive()
    one, two, three = (asyncio.ensure_future(receive()) for _ in range(3))
    await send({"type": "http.response.start", "status": 200})
    await asyncio.sleep(0)
    one.cancel()
    LOG.append([await two, await three])


@case
async def after_response(scope, receive, send):
    await reply(send, b"done")
    LOG.append([await receive(), await receive(), await error_of(lambda: send({"type": "http.response.body"}))])


@case
async def cancelled_receive(scope, receive, send):
    """Cancels receive() in every way before it reads the body."""
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"go", "more_body": True})
    task = asyncio.create_task(receive())
    task.cancel()
    receive()  # never awaited
    for _ in range(3):
        try:
            await asyncio.wait_for(receive(), 0.001)
        except TimeoutError:
            await send({"type": "http.response.body", "body": b"timeout", "more_body": True})
            break
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.body", "body": body})


@case
async def blocked_send(scope, receive, send):
    """Sends until the client is gone."""
    await send({"type": "http.response.start", "status": 200})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"x" * 50_000, "more_body": True})
    except awaitd.ClientDisconnected as error:
        LOG.append([type(error).__name__, isinstance(error, OSError)])
        raise


class FrameworksDisconnect(Exception):
    """A framework's own word for it."""


async def until_it_is_gone(send):
    await send({"type": "http.response.start", "status": 200})
    while True:
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.sleep(0)


@case
async def gone_in_other_words(scope, receive, send):
    """Raises what frameworks make of it: from it, in its place, and in a group."""
    try:
        await until_it_is_gone(send)
    except OSError as error:
        if scope["query_string"] == b"from":
            raise FrameworksDisconnect from error
        if scope["query_string"] == b"group":
            raise BaseExceptionGroup("tasks", [error, ExceptionGroup("more", [error])]) from None
        raise FrameworksDisconnect  # noqa: B904 (as Starlette does)


@case
async def gone_and_more(scope, receive, send):
    """Fails while it handles that."""
    try:
        await until_it_is_gone(send)
    except OSError as error:
        if scope["query_string"] == b"group":
            raise BaseExceptionGroup("tasks", [error, KeyError("a mistake")]) from None
        raise KeyError("a mistake")  # noqa: B904


@case
async def never_receives(scope, receive, send):
    """Polls with send until the client is gone."""
    await send({"type": "http.response.start", "status": 200})
    while True:
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"", "more_body": True})


@case
async def big(scope, receive, send):
    """A body of many frames in one message, with a bytearray behind it."""
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": bytes(range(256)) * 4000, "more_body": True})
    await send({"type": "http.response.body", "body": bytearray(b"y" * 100_000), "more_body": True})
    await send({"type": "http.response.body", "body": memoryview(b"end")})


@case
async def cancelled_send(scope, receive, send):
    """A send that is cancelled while it waits keeps its place."""
    await send({"type": "http.response.start", "status": 200})
    try:
        await asyncio.wait_for(send({"type": "http.response.body", "body": b"a" * 200_000, "more_body": True}), 0.001)
    except TimeoutError:
        LOG.append("timeout")
    await send({"type": "http.response.body", "body": b"b"})


@case
async def mistakes(scope, receive, send):
    """Wrong messages before, between and after; each is an exception at the caller and nothing else."""

    async def attempt(message):
        return await error_of(lambda: send(message))

    start = {"type": "http.response.start", "status": 200}
    results = [
        await attempt(message)
        for message in (
            b"no dict",
            {},
            {"type": 1},
            {"type": "http.nonsense"},
            {"type": "http.response.body"},
            {"type": "http.response.start"},
            {**start, "status": "200"},
            {**start, "status": 99},
            {**start, "headers": 5},
            {**start, "headers": [b"ab"]},
            {**start, "headers": [("a", b"b")]},
            {**start, "headers": [(b"a", "b")]},
            {**start, "headers": [(b"a", b"b\r\nc: d")]},
            {**start, "headers": [(b"a\n", b"b")]},
            {**start, "headers": [(b"a", b"\0")]},
            {**start, "headers": [(b"", b"b")]},
            {**start, "headers": [(b"a", b"x" * 20_000)] * 10},
            {**start, "headers": [(b"a", b"x" * 70_000)]},
        )
    ]
    await send({**start, "headers": ((name, value) for name, value in [(b"x-a", bytearray(b"1")), [b"x-b", b"2"]])})
    results.append(await attempt(start))
    results.append(await attempt({"type": "http.response.body", "body": "text"}))
    results.append(await attempt({"type": "http.response.trailers"}))
    results.append(await attempt({"type": "http.response.pathsend", "path": "relative"}))
    await send({"type": "http.response.body", "body": json.dumps(results).encode()})
    LOG.append(await attempt({"type": "http.response.body"}))


@case
async def phrases(scope, receive, send):
    """A reason phrase, after some that are none."""
    start = {"type": "http.response.start", "status": 299, "headers": [(b"x-a", b"1")]}
    results = [
        await error_of(lambda phrase=phrase: send({**start, "reason": phrase})) for phrase in (b"OK", "a\nb", "☃", "x" * 1025)
    ]
    await send({**start, "reason": "Grüße, nobody"})
    await send({"type": "http.response.body", "body": json.dumps(results).encode()})


@case
async def no_phrase(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "reason": ""})
    await send({"type": "http.response.body"})


@case
async def raise_before(scope, receive, send):
    raise ValueError("before the start")


@case
async def raise_after(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"part", "more_body": True})
    raise ValueError("after the start")


@case
async def own_error_page(scope, receive, send):
    await reply(send, b"my own page", 500)
    raise ValueError("with a page")


@case
async def no_response(scope, receive, send):
    pass


@case
async def half_response(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})


@case
async def long_poll(scope, receive, send):
    """The head must be out while the body is still awaited; here the coroutine suspends."""
    await receive()
    await send({"type": "http.response.start", "status": 200})
    await receive()


@case
async def child_sends(scope, receive, send):
    """The same from another task, while the application's own is suspended already."""
    await receive()

    async def child():
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-child", b"1")]})
        await receive()

    await asyncio.create_task(child())


@case
async def one_frame_from_child(scope, receive, send):
    async def child():
        await reply(send, b"child")

    await asyncio.create_task(child())


@case
async def trailers(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "trailers": True})
    await send({"type": "http.response.body", "body": b"body"})
    await send({"type": "http.response.trailers", "headers": [(b"x-one", b"1")], "more_trailers": True})
    await send({"type": "http.response.trailers", "headers": [(b"x-two", b"2")]})


@case
async def early_hint(scope, receive, send):
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]}
    await send(hint)
    await send({"type": "http.response.start", "status": 200})
    await send(hint)
    await send({"type": "http.response.body", "body": b"part", "more_body": True})
    try:
        await send(hint)
    except RuntimeError as error:
        LOG.append(f"{type(error).__name__}: {error}")
    await send({"type": "http.response.body"})


@case
async def pathsend(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.pathsend", "path": __file__})


class Unprintable:
    def __repr__(self):
        raise ZeroDivisionError


class TwoLines:
    def __repr__(self):
        return "one\ntwo\rthree"


@case
async def debug(scope, receive, send):
    """Debug information before the start, after it, and what is none; the answer says what became of it."""
    message = {"type": "http.response.debug"}
    said = [
        await error_of(lambda: send(message)),
        await error_of(lambda: send({**message, "info": []})),
        await error_of(lambda: send({**message, "info": {"template": "a.html", "lines": TwoLines()}})),
    ]
    await send({"type": "http.response.start", "status": 200})
    said.append(await error_of(lambda: send({**message, "info": {"long": "\xe9" * 10_000}})))
    said.append(await error_of(lambda: send({**message, "info": {"bad": Unprintable()}})))
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})
    LOG.append(await error_of(lambda: send({**message, "info": {}})))


@case
async def scope_of(scope, receive, send):
    """The scope, with bytes as latin-1 text and the types beside."""

    def plain(value):
        if isinstance(value, bytes):
            return "b:" + value.decode("latin-1")
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [type(value).__name__, *map(plain, value)]
        return value

    answer = plain(scope)
    scope["extensions"]["mine"] = 1
    scope["headers"].append((b"mine", b"1"))
    await reply(send, answer)


CASES["/caf\u00e9/a b"] = CASES["//..//\ufffd"] = CASES["/a/b%2Fc"] = CASES["/api/scope_of"] = scope_of


@case
async def block(scope, receive, send):
    """Holds the loop until someone opens the other side of the named pipe that the query names."""
    os.close(os.open(scope["query_string"], os.O_RDONLY))
    await reply(send, b"")


@case
async def factory_on(scope, receive, send):
    loop = asyncio.get_running_loop()

    def factory(loop, coroutine, **options):
        LOG.append("factory")
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(factory)
    await reply(send, b"")


@case
async def sleep(scope, receive, send):
    await asyncio.sleep(float(scope["query_string"]))
    await reply(send, b"slept")


@case
async def thread_name(scope, receive, send):
    await reply(send, threading.current_thread().name)


def returns_nothing(scope, receive, send):
    """No awaitable at all."""


class Instance:
    """A callable object whose __call__ is async."""

    async def __call__(self, scope, receive, send):
        await app(scope, receive, send)


instance = Instance()


class Awaitable:
    """ASGI as a class: an instance per request, awaited."""

    def __init__(self, scope, receive, send):
        self.arguments = scope, receive, send

    def __await__(self):
        return app(*self.arguments).__await__()


def double(scope):
    """ASGI 2."""

    async def instance(receive, send):
        if scope["type"] == "http":
            await reply(send, scope["asgi"]["version"])

    return instance


async def describe(scope, receive, send):
    """Answers every request with what is in it, in the form of the wire's vectors."""
    if scope["type"] == "http":
        await reply(
            send,
            {
                "method": scope["method"],
                "path": scope["raw_path"].decode("latin-1"),
                "query": scope["query_string"].decode("latin-1"),
                "fields": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
                "version": {"1.0": 10, "1.1": 11, "2": 20, "3": 30}[scope["http_version"]],
                "scheme": ["http", "https"].index(scope["scheme"]),
                "body": (await receive())["body"].decode("latin-1") if scope["method"] == "PUT" else "",
            },
        )


def _spin():
    """Starts a child that keeps the test's pipe, says ok, and never comes back."""
    import subprocess

    pipe = int(os.environ["AWAITD_TEST_PIPE"])
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=[pipe])
    os.write(pipe, b"ok")
    while True:
        pass


@case
async def spin(scope, receive, send):
    _spin()


@case
async def child_descriptors(scope, receive, send):
    import subprocess

    code = "import os; print(sorted(int(fd) for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')))"
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, close_fds=False, stdin=subprocess.DEVNULL
    )
    await reply(send, child.stdout.strip().encode())
