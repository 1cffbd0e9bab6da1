"""The application of tests/http: routes by path, and gates and events by which a test knows, and decides, how far a request is.

A gate is a name that requests wait for and `/open?gate=NAME` opens. An event is a word that a request adds to a list;
`/event?of=NAME&is=WORD` answers when it is there. So tests never sleep.
"""

import asyncio
import contextvars
import json
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BLOCK = bytes(range(256)) * 256  # 64 KiB

gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
events: dict[str, list[str]] = defaultdict(list)
news = asyncio.Condition()
background: set[asyncio.Task[None]] = set()
context = contextvars.ContextVar("context", default="nothing")


class Exchange:
    """One request, with short words for what applications do."""

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send_message = scope, receive, send
        query = parse_qs(scope["query_string"].decode("latin-1"))
        self.query = {name: values[-1] for name, values in query.items()}
        self.fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]

    async def start(self, status: int = 200, *fields: tuple[str, str], **more: Any) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        await self.send_message({"type": "http.response.start", "status": status, "headers": headers, **more})

    async def send(self, body: bytes | str = b"", more: bool = False) -> None:
        data = body.encode("latin-1") if isinstance(body, str) else body
        await self.send_message({"type": "http.response.body", "body": data, "more_body": more})

    async def answer(self, body: bytes | str, status: int = 200) -> None:
        await self.start(status)
        await self.send(body)

    async def body(self) -> bytes:
        parts = []
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError("the client left within the body")
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)

    async def note(self, word: str) -> None:
        """Adds an event to the list that the query names with `note`."""
        if name := self.query.get("note"):
            events[name].append(word)
            async with news:
                news.notify_all()

    async def gate(self) -> None:
        """Waits for the gate that the query names with `gate`."""
        if name := self.query.get("gate"):
            await gates[name].wait()


routes: dict[str, Callable[[Exchange], Awaitable[None]]] = {}


def route(handler: Callable[[Exchange], Awaitable[None]]) -> Callable[[Exchange], Awaitable[None]]:
    routes["/" + handler.__name__.replace("_", "-")] = handler
    return handler


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    x = Exchange(scope, receive, send)
    await x.note("begun")
    await routes.get(scope["path"], scope_of)(x)


async def mirror(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """An application without routes: each request is answered with its scope."""
    if scope["type"] == "lifespan":
        raise RuntimeError("there is none")
    await scope_of(Exchange(scope, receive, send))


async def lifespan(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    scope["state"]["shared"] = ["from the lifespan"]
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if log := os.environ.get("LIFESPAN_LOG"):
        with open(log, "a") as file:
            file.write("shutdown\n")
    await send({"type": "lifespan.shutdown.complete"})


# What tests steer with.


@route
async def open_gate(x: Exchange) -> None:
    gates[x.query["gate"]].set()
    await x.answer("opened")


@route
async def event(x: Exchange) -> None:
    async with news:
        await news.wait_for(lambda: x.query["is"] in events[x.query["of"]])
    await x.answer(json.dumps(events[x.query["of"]]))


@route
async def all_events(x: Exchange) -> None:
    await x.answer(json.dumps(events[x.query["of"]]))


# Requests.


@route
async def hello(x: Exchange) -> None:
    await x.gate()
    await x.answer("Hello, world!")
    await x.note("answered")


@route
async def block(x: Exchange) -> None:
    await x.answer(BLOCK[:60000])


async def scope_of(x: Exchange) -> None:
    """The scope as JSON, bytes as latin-1 text, with the body: for any path that is no route."""

    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.decode("latin-1")
        return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value

    scope = plain(x.scope)
    scope["body"] = (await x.body()).decode("latin-1")
    scope["headers"] = x.fields
    scope["types"] = {key: type(value).__name__ for key, value in x.scope.items()}
    await x.start(200, ("content-type", "application/json"))
    await x.send(json.dumps(scope, default=repr).encode())


@route
async def echo(x: Exchange) -> None:
    await x.answer(await x.body())


@route
async def unread(x: Exchange) -> None:
    await x.answer("did not read")


@route
async def sizes(x: Exchange) -> None:
    """Reads the body at the test's word and answers with the sizes of the messages, and what came after the end."""
    await x.gate()
    found = []
    while True:
        message = await x.receive()
        found.append(len(message.get("body", b"")))
        await x.note("received")
        if not message.get("more_body"):
            break
    await x.answer(json.dumps(found))
    after = [(await x.receive())["type"] for _ in range(3)]
    await x.note(",".join(after))


@route
async def sink(x: Exchange) -> None:
    """Counts the body, message by message."""
    await x.gate()
    total, largest = 0, 0
    while True:
        message = await x.receive()
        total += len(message.get("body", b""))
        largest = max(largest, len(message.get("body", b"")))
        if not message.get("more_body"):
            break
    await x.answer(json.dumps({"type": message["type"], "bytes": total, "largest": largest}))


@route
async def sip(x: Exchange) -> None:
    """Takes a message of the body each `every` seconds."""
    more = True
    while more:
        message = await x.receive()
        more = message.get("more_body", False)
        await asyncio.sleep(float(x.query["every"]))
    await x.note(message["type"])


@route
async def flood(x: Exchange) -> None:
    """Sends `blocks` blocks of 64 KiB, without waiting for anything but send()."""
    await x.start(200, *([("content-length", str(int(x.query["blocks"]) * len(BLOCK)))] if "length" in x.query else []))
    for n in range(int(x.query["blocks"])):
        try:
            await x.send(BLOCK, more=True)
        except OSError:
            await x.note("lost")
            return
        if n == 0:
            await x.note("flowing")
    await x.send()
    await x.note("sent")


@route
async def trickle(x: Exchange) -> None:
    """A head at once; the body when the gate opens."""
    await x.start(200)
    await x.note("started")
    await x.gate()
    await x.send("one,", more=True)
    await x.send("two")


@route
async def until_disconnect(x: Exchange) -> None:
    """Starts, and waits for the client to leave."""
    await x.body()
    if "silent" not in x.query:
        await x.start(200)
        await x.send("first", more=True)
    messages = [(await x.receive())["type"] for _ in range(3)]
    try:
        for _ in range(100):
            await x.send(BLOCK, more=True)
    except OSError as error:
        messages.append(f"{type(error).__module__}.{type(error).__name__}")
    await x.note(" ".join(messages))


@route
async def never_receives(x: Exchange) -> None:
    """Sends until it learns, from send() alone, that nobody listens."""
    await x.start(200)
    try:
        while True:
            await x.send(BLOCK, more=True)
            await x.note("sending")
    except OSError as error:
        await x.note(type(error).__name__)
        raise


@route
async def script(x: Exchange) -> None:
    """Sends the messages of the field x-script: [status, [[name, value], …]], "body", ["body", more], {"raise": text}, …"""
    for step in json.loads(dict(x.fields)["x-script"]):
        match step:
            case str():
                await x.send(step)
            case [int(status), list(fields)]:
                await x.start(status, *map(tuple, fields))
            case [str(body), bool(more)]:
                await x.send(body, more)
            case {"raise": name}:
                raise RuntimeError(name)
            case {"read": True}:
                await x.body()
            case {"gate": name}:
                await gates[name].wait()
            case {"headers": "HUGE"} as message:
                await x.send_message({**message, "headers": [(b"x-huge", b"x" * 30000)] * 10})
            case dict() as message:
                await x.send_message(message)


@route
async def refused_messages(x: Exchange) -> None:
    """What send() says to messages out of order or of wrong types."""

    async def said(message: Any) -> str:
        try:
            await x.send_message(message)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "accepted"

    start = {"type": "http.response.start", "status": 200}
    found = {
        "body first": await said({"type": "http.response.body"}),
        "unknown type": await said({"type": "http.response.bdy"}),
        "no dict": await said(["http.response.start"]),
        "no type": await said({"status": 200}),
        "no status": await said({"type": "http.response.start"}),
        "status text": await said({**start, "status": "200"}),
        "name text": await said({**start, "headers": [("name", b"value")]}),
        "fields no pairs": await said({**start, "headers": [(b"name",)]}),
    }
    await x.start(200)
    found |= {"second start": await said(start), "body text": await said({"type": "http.response.body", "body": "text"})}
    await x.send(json.dumps(found))
    await x.note(await said({"type": "http.response.body"}))


@route
async def cancelled_receive(x: Exchange) -> None:
    """Cancels receive() once before the body comes and then reads the whole of it."""
    with_nothing = asyncio.create_task(x.receive())
    await x.note("receiving")
    await asyncio.wait([with_nothing], timeout=0)
    with_nothing.cancel()
    await asyncio.wait([with_nothing])
    await x.note("cancelled")
    await x.answer(await x.body())


@route
async def contexts(x: Exchange) -> None:
    seen = context.get()
    context.set("something")
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task.uncancel()
    x.scope["state"]["own"] = "own"
    x.scope["extensions"]["own"] = {}
    await x.answer(json.dumps({"seen": seen, "task": type(task).__name__}))


@route
async def afterwards(x: Exchange) -> None:
    """Goes on after the response; and leaves a task behind."""

    async def later() -> None:
        await gates[x.query["gate"]].wait()
        await x.note("task done")

    task = asyncio.create_task(later())
    background.add(task)
    await x.answer("answered")
    await x.gate()
    await x.note("done")


async def asgi2_instance(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"double"})


class Asgi2:
    """An application of ASGI 2: called twice."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        if self.scope["type"] != "http":
            raise RuntimeError("http only")
        await asgi2_instance(self.scope, receive, send)
