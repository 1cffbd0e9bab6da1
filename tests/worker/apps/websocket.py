"""ASGI applications for WebSockets: the path ``/name`` runs the function ``name``; requests look at what they have noted."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import json
import sys

CASES = {}
LOG = []
GATES: dict[str, asyncio.Event] = {}
VARIABLE = contextvars.ContextVar("variable", default="unset")


def case(function):
    CASES["/" + function.__name__] = function
    return function


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["pool"] = "of the lifespan"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await over_http(scope, send)
    else:
        await CASES[scope["path"]](scope, receive, send)


async def over_http(scope, send):
    if scope["path"] == "/open_gate":
        GATES.setdefault(scope["query_string"].decode(), asyncio.Event()).set()
    if scope["path"] == "/collect":
        gc.collect()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(LOG).encode()})


def double(scope):
    """An ASGI 2 application."""

    async def instance(receive, send):
        await app(scope, receive, send)

    return instance


async def gate(name):
    await GATES.setdefault(name, asyncio.Event()).wait()


async def accept(receive, send, **keys):
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **keys})


async def text(send, value):
    await send({"type": "websocket.send", "text": value if isinstance(value, str) else json.dumps(value)})


async def error_of(awaitable_maker):
    try:
        await awaitable_maker()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing raised"


async def refusal(send, message):
    return await error_of(lambda: send(message))


@case
async def bare(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@case
async def scope_of(scope, receive, send):
    await accept(receive, send)
    shown = {key: value for key, value in scope.items() if key not in ("raw_path", "query_string", "headers")}
    shown["extensions"] = {name: value for name, value in scope["extensions"].items() if name != "awaitd.broadcast"}
    shown["bytes"] = [scope["raw_path"].decode(), scope["query_string"].decode()]
    shown["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    await text(send, shown)


@case
async def echo(scope, receive, send):
    await accept(receive, send)
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            LOG.append(message)
            return
        assert list(message) in (["type", "text"], ["type", "bytes"]), message
        assert isinstance(message.get("text"), str) != isinstance(message.get("bytes"), bytes), message
        await send({**message, "type": "websocket.send"})


@case
async def pings(scope, receive, send):
    """Sends back what it hears, and pings."""
    results = [await error_of(lambda: send({"type": "awaitd.websocket.ping", "bytes": b""}))]
    await accept(receive, send, pings=True)
    for message in ({}, {"bytes": "text"}, {"bytes": bytes(126)}):
        results.append(await error_of(lambda message=message: send({"type": "awaitd.websocket.ping", **message})))
    await text(send, json.dumps(results))
    await send({"type": "awaitd.websocket.ping", "bytes": b"ask"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await text(send, repr(message))


@case
async def subprotocol(scope, receive, send):
    await receive()
    errors = [
        await error_of(lambda bad=bad: send({"type": "websocket.accept", "subprotocol": bad}))
        for bad in ("three", "", "TWO", 2)
    ]
    await send({"type": "websocket.accept", "subprotocol": "two"})
    await text(send, errors)


@case
async def accept_headers(scope, receive, send):
    await receive()
    bad = [
        [(b"Sec-WebSocket-Protocol", b"two")],
        [(b"x-a", b"1"), (b"sec-websocket-accept", b"x")],
        [(b"upgrade", b"h2c")],
        [(b"content-length", b"0")],
        [(b"x-a", b"b\r\nc: d")],
        [("x-a", "1")],
        7,
    ]
    errors = [await refusal(send, {"type": "websocket.accept", "headers": headers}) for headers in bad]
    await send({"type": "websocket.accept", "headers": iter([(b"x-a", b"1"), [bytearray(b"set-cookie"), b"b=2"]])})
    await text(send, errors)


@case
async def mistakes(scope, receive, send):
    """Wrong messages before and after accept, and after close."""

    async def errors(*messages):
        return [await refusal(send, message) for message in messages]

    before = await errors(
        b"",
        {"type": "websocket.nonsense"},
        {"type": "http.response.start", "status": 200},
        {"type": "websocket.send", "text": "a"},
        {"type": "websocket.http.response.body"},
        {"type": "websocket.http.response.start", "status": "200"},
        {"type": "websocket.close", "code": "1000"},
        {"type": "websocket.close", "reason": b"bye"},
    )
    await accept(receive, send)
    between = await errors(
        {"type": "websocket.accept"},
        {"type": "websocket.http.response.start", "status": 200},
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": None, "bytes": None},
        {"type": "websocket.send", "text": "a", "bytes": b"b"},
        {"type": "websocket.send", "text": b"a"},
        {"type": "websocket.send", "bytes": "a"},
        {"type": "websocket.send", "text": "\udc80"},
        {"type": "websocket.close", "code": 1005},
        {"type": "websocket.close", "code": 1 << 70},
        {"type": "websocket.close", "code": 999},
        {"type": "websocket.close", "reason": "é" * 62},
        {"type": "websocket.nonsense"},
    )
    await text(send, before + between)
    await send({"type": "websocket.close", "code": 4000, "reason": "é" * 61})
    LOG.append(await errors({"type": "websocket.send", "text": "a"}, {"type": "websocket.close"}, {"type": "nonsense"}))
    LOG.append([await receive(), await receive()])


@case
async def buffers(scope, receive, send):
    await accept(receive, send)
    for data in (bytearray(b"one"), memoryview(b"-two-")[1:-1], type("Bytes", (bytes,), {})(b"three"), b""):
        await send({"type": "websocket.send", "bytes": data, "text": None})
    await send({"type": "websocket.send", "text": type("Text", (str,), {})("é€😀")})
    await send({"type": "websocket.send", "text": ""})


@case
async def big(scope, receive, send):
    """A text of many characters, bytes, a buffer that changes as soon as send() was called, and a small one behind them."""
    await accept(receive, send)
    await text(send, "é€😀a" * 40_000)
    await send({"type": "websocket.send", "bytes": bytes(range(256)) * 1000})
    buffer = bytearray(b"x" * 200_000)
    sending = send({"type": "websocket.send", "bytes": buffer})
    buffer[:] = b"y" * 200_000
    await sending
    await text(send, "end")


@case
async def queued_close(scope, receive, send):
    """Closes with messages before it that wait for credit."""
    await accept(receive, send)
    first = asyncio.create_task(text(send, "a" * 1000))
    await asyncio.sleep(0)
    LOG.append("closing")
    await send({"type": "websocket.close", "code": 3000, "reason": "done"})
    await first
    LOG.append("closed")


@case
async def gated(scope, receive, send):
    """Receives one message for each opening of the gate, and says how long it was."""
    await accept(receive, send)
    name = scope["query_string"].decode()
    while True:
        await gate(name)
        GATES[name].clear()
        message = await receive()
        if message["type"] == "websocket.disconnect":
            LOG.append(message)
            return
        LOG.append(len(message.get("text", message.get("bytes"))))


@case
async def never_receives(scope, receive, send):
    await accept(receive, send)
    await gate("never_receives")
    LOG.append(await error_of(lambda: text(send, "x")))
    LOG.append([(await receive()) for _ in range(3)])


@case
async def blocked_send(scope, receive, send):
    await accept(receive, send)
    LOG.append(await error_of(lambda: text(send, "x" * 100_000)))
    await text(send, "raised, and nothing is logged")


@case
async def before_accept(scope, receive, send):
    await receive()
    LOG.append("connected")
    LOG.append(await receive())
    LOG.append(await error_of(lambda: send({"type": "websocket.accept"})))


@case
async def returns(scope, receive, send):
    await receive()


@case
async def raises(scope, receive, send):
    await receive()
    raise ValueError("before accept")


@case
async def returns_accepted(scope, receive, send):
    await accept(receive, send)
    await text(send, "last")


@case
async def raises_accepted(scope, receive, send):
    await accept(receive, send)
    await text(send, "last")
    raise ValueError("after accept")


@case
async def raises_closed(scope, receive, send):
    await accept(receive, send)
    await send({"type": "websocket.close", "code": 1001})
    raise ValueError("after close")


@case
async def rejects(scope, receive, send):
    await receive()
    await send({"type": "websocket.close", "code": 1006, "reason": "unheard"})
    LOG.append([await receive(), await error_of(lambda: send({"type": "websocket.accept"}))])


@case
async def denies(scope, receive, send):
    await receive()
    start = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"no")]}
    await send(start)
    LOG.append([await error_of(lambda: send(start)), await error_of(lambda: send({"type": "websocket.accept"}))])
    await send({"type": "websocket.http.response.body", "body": b"part,", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"rest"})
    LOG.append([await receive(), await error_of(lambda: send({"type": "websocket.accept"}))])


@case
async def denies_half(scope, receive, send):
    await send({"type": "websocket.http.response.start", "status": 401})
    await send({"type": "websocket.http.response.body", "body": b"part,", "more_body": True})


@case
async def accepts_twice(scope, receive, send):
    """An iterator of headers that sends, given to the message that the query names."""

    def headers():
        send({"type": "websocket.accept"})
        yield (b"x-a", b"1")

    await receive()
    LOG.append(await refusal(send, {"type": scope["query_string"].decode(), "status": 200, "headers": headers()}))


@case
async def two_receivers(scope, receive, send):
    """Each message goes to one of those who wait; all hear of the end."""
    await accept(receive, send)
    tasks = [asyncio.create_task(receive()) for _ in range(3)]
    await asyncio.sleep(0)
    await text(send, "waiting")
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    LOG.append([task.result()["text"] for task in done])
    await text(send, "one")
    LOG.append([message["type"] for message in await asyncio.gather(*rest)])


@case
async def reader_and_writer(scope, receive, send):
    await accept(receive, send)
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    async def read():
        while (message := await receive())["type"] == "websocket.receive":
            queue.put_nowait(message["text"])
        queue.put_nowait(None)

    async def write():
        while (item := await queue.get()) is not None:
            await text(send, item.upper())

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        group.create_task(write())
    LOG.append("both ended")


@case
async def time_limit(scope, receive, send):
    """asyncio.timeout around receive: what comes later is not lost, in whichever way the wait was ended."""
    await accept(receive, send)
    for _ in range(3):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.001):
                LOG.append(["not yet", await receive()])
        with contextlib.suppress(TimeoutError):
            LOG.append(["not yet", await asyncio.wait_for(receive(), 0.001)])
    abandoned = asyncio.create_task(receive())
    await asyncio.sleep(0)
    abandoned.cancel("a message")
    try:
        await abandoned
    except asyncio.CancelledError as error:
        LOG.append(["cancelled", *error.args])
    receive()  # never awaited
    await text(send, "ready")
    for _ in range(3):
        async with asyncio.timeout(60):
            await text(send, (await receive())["text"])
    await text(send, (await asyncio.wait_for(receive(), 60))["text"])


@case
async def cancelled_as_it_comes(scope, receive, send):
    """A message wakes a receive() that is cancelled before it goes on: the next gets it."""
    await accept(receive, send)
    waiting = [asyncio.create_task(receive()) for _ in range(2)]  # two of them go on in the loop's next turn
    await asyncio.sleep(0)
    await text(send, "ready")
    while not waiting[0]._fut_waiter.done():
        await asyncio.sleep(0)
    results = [waiting[0].cancel(), waiting[1].cancel()]
    done = await asyncio.gather(*waiting, return_exceptions=True)
    LOG.append([results, [type(one).__name__ for one in done]])
    await text(send, (await receive())["text"])


@case
async def direct_step(scope, receive, send):
    """What a task sees when a message has woken it: itself, its context, no other task around it."""
    VARIABLE.set("the task's own")
    await accept(receive, send)
    task = asyncio.current_task()
    assert task is not None
    LOG.append([task._fut_waiter is None, asyncio.isfuture(receive()), asyncio.iscoroutine(receive())])
    for _ in range(3):
        message = await receive()
        same = asyncio.current_task() is task
        await text(send, [message["text"], same, VARIABLE.get(), task._fut_waiter is None, task in asyncio.all_tasks()])


def handled_callback():
    """What asyncio's event loop is calling now."""
    frame = sys._getframe()
    while frame.f_code.co_name != "_run":
        frame = frame.f_back
    return frame.f_locals["self"]._callback


@case
async def called_by(scope, receive, send):
    await accept(receive, send)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(receive(), 0.001)  # of which nothing is left
    await text(send, "ready")
    await receive()
    LOG.append(str(handled_callback()))
    await text(send, "first")
    waiting = [asyncio.create_task(receive()) for _ in range(2)]
    await waiting[0]
    LOG.append(str(handled_callback()))


@case
async def waits_as_a_future(scope, receive, send):
    """What asyncio and debuggers ask of that which a task waits on."""
    await accept(receive, send)
    task = asyncio.create_task(receive())
    await asyncio.sleep(0)
    waits = task._fut_waiter
    LOG.append([waits.done(), waits.cancelled(), waits.get_loop() is asyncio.get_running_loop(), "wait_for" in repr(task)])
    LOG.append(await error_of(lambda: _call(waits.result)))
    LOG.append(await error_of(lambda: _call(waits.add_done_callback, print)))
    LOG.append(waits.remove_done_callback(print))
    await text(send, "ready")
    await text(send, (await task)["text"])


async def _call(function, *args):
    return function(*args)


@case
async def by_hand(scope, receive, send):
    """The awaitable driven without a task, as trampolines do."""
    await accept(receive, send)
    loop = asyncio.get_running_loop()
    wait, woken = receive(), loop.create_future()
    yielded = wait.send(None)
    yielded._asyncio_future_blocking = False
    yielded.add_done_callback(lambda of: woken.set_result(of is yielded))
    await text(send, "ready")
    LOG.append(await woken)
    try:
        wait.send(None)
    except StopIteration as stop:
        await text(send, stop.value["text"])


@case
async def python_task(scope, receive, send):
    """A child task in pure Python."""
    await accept(receive, send)
    task = asyncio.tasks._PyTask(receive(), loop=asyncio.get_running_loop())
    await asyncio.sleep(0)
    await text(send, "ready")
    await text(send, (await task)["text"])


@case
async def leaves_a_child(scope, receive, send):
    """Returns while a task of it still receives."""
    await accept(receive, send)

    async def child():
        LOG.append(await receive())
        LOG.append(await error_of(lambda: text(send, "x")))

    asyncio.create_task(child())  # noqa: RUF006
    await asyncio.sleep(0)


@case
async def exits(scope, receive, send):
    await accept(receive, send)
    await receive()
    raise SystemExit(7)


@case
async def waits_for_ever(scope, receive, send):
    try:
        await receive()
        if scope["query_string"]:
            await send({"type": "websocket.accept"})
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        LOG.append("cancelled")
        raise


async def idle(scope, receive, send):
    """The least there is; what measure_websocket.py measures."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def echo_only(scope, receive, send):
    """The same for an echo."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": message["text"]})
