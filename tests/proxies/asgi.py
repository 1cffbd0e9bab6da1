"""The ASGI application of tests/proxies, with the paths of wsgi.py."""

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

BLOCK = bytes(range(256)) * 256  # 64 KiB
WAIT = 20

gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
events: "dict[str, asyncio.Queue[str]]" = defaultdict(asyncio.Queue)

Message = MutableMapping[str, Any]


class Exchange:
    """One request, with short words for what the routes do."""

    def __init__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        self.scope, self.receive, self.send_message = scope, receive, send
        self.query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}

    async def start(self, code: int = 200, *fields: tuple[str, str]) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        await self.send_message({"type": "http.response.start", "status": code, "headers": headers})

    async def send(self, body: bytes = b"", more: bool = False) -> None:
        await self.send_message({"type": "http.response.body", "body": body, "more_body": more})

    async def answer(self, body: bytes, *fields: tuple[str, str]) -> None:
        await self.start(200, *fields)
        await self.send(body)


async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    if scope["type"] != "http":
        raise RuntimeError("http only")
    await ROUTES.get(scope["path"], seen)(Exchange(scope, receive, send))


async def seen(x: Exchange) -> None:
    """The scope as JSON, bytes as latin-1 text: for any path that is no route."""

    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.decode("latin-1")
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    body, more = b"", True
    while more:
        message = await x.receive()
        body, more = body + message["body"], message["more_body"]
    await x.answer(json.dumps(plain({**x.scope, "body": body})).encode(), ("content-type", "application/json"))


async def hello(x: Exchange) -> None:
    await x.answer(b"Hello, world!", ("content-type", "text/plain"))


async def open_gate(x: Exchange) -> None:
    gates[x.query["gate"]].set()
    await hello(x)


async def event(x: Exchange) -> None:
    async with asyncio.timeout(WAIT):
        await x.answer((await events[x.query["of"]].get()).encode())


async def items(x: Exchange) -> None:
    await x.start(200, ("content-type", "text/plain"))
    await x.send(b"one,", more=True)
    await gates[x.query["gate"]].wait()
    await x.send(b"two")


async def digest(x: Exchange) -> None:
    total, checksum, more = 0, hashlib.sha256(), True
    while more:
        message = await x.receive()
        if message["type"] == "http.disconnect":
            events[x.query.get("note", "")].put_nowait("http.disconnect")
            return
        if not total and "note" in x.query:
            events[x.query["note"]].put_nowait("begun")
        total += len(message["body"])
        checksum.update(message["body"])
        more = message["more_body"]
    await x.answer(f"{total} {checksum.hexdigest()}".encode(), ("content-type", "text/plain"))


async def flood(x: Exchange) -> None:
    await x.start(200, ("content-type", "text/plain"))
    try:
        while True:
            await x.send(BLOCK, more=True)
    except OSError:
        events[x.query["note"]].put_nowait("gone")


async def status(x: Exchange) -> None:
    await x.start(int(x.query["code"]), *map(tuple, json.loads(x.query.get("fields", "[]"))))
    await x.send(x.query.get("body", "").encode())


async def raises(x: Exchange) -> None:
    raise RuntimeError("as the test wants it")


async def file(x: Exchange) -> None:
    await x.start(200, ("content-type", "text/plain"))
    await x.send_message({"type": "http.response.pathsend", "path": x.query["path"]})


ROUTES: dict[str, Callable[[Exchange], Awaitable[None]]] = {
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
