"""The application of tests/websocket: /NAME runs the function ws_NAME for a WebSocket and http_NAME for a request.

What happens to a WebSocket is a line on standard error, `NAME: what`, NAME being its `note`; tests wait for it. A gate is a
name that applications wait for and `/open?gate=NAME` opens, when the body of that request has come to its end.
"""

import asyncio
import json
import os
import sys
from collections import defaultdict
from typing import Any
from urllib.parse import parse_qs

import awaitd

gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
counts: dict[str, int] = defaultdict(int)


class Socket:
    """One WebSocket, with short words for what applications do."""

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scope, self.receive, self.raw = scope, receive, send
        self.query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}

    async def accept(self, **keys: Any) -> None:
        assert await self.receive() == {"type": "websocket.connect"}
        await self.raw({"type": "websocket.accept", **keys})

    async def send(self, message: str | bytes) -> None:
        await self.raw({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.raw({"type": "websocket.close", "code": code, "reason": reason})

    async def gate(self, name: str = "gate") -> None:
        await gates[self.query[name]].wait()

    def note(self, what: object) -> None:
        print(f"{self.query.get('note', 'app')}: {what}", file=sys.stderr, flush=True)

    def count(self) -> None:
        counts[self.query["note"]] += 1

    async def messages(self) -> Any:
        while (message := await self.receive())["type"] == "websocket.receive":
            yield message["text"] if "text" in message else message["bytes"]
        self.note(f"{message['code']} {message['reason']!r}")


async def ws_echo(s: Socket) -> None:
    await s.accept()
    async for message in s.messages():
        await s.send(message)


async def ws_scope(s: Socket) -> None:
    await s.accept()
    known = {"headers": [[a.decode("latin-1"), b.decode("latin-1")] for a, b in s.scope["headers"]]}
    known |= {
        key: s.scope[key] for key in ("type", "scheme", "path", "subprotocols", "http_version", "extensions", "root_path")
    }
    known["extensions"].pop("awaitd.broadcast")  # no JSON
    await s.send(json.dumps(known))


async def ws_accept(s: Socket) -> None:
    """Accepts with a subprotocol and fields, refusing what it may not; says what was refused."""
    refused = []
    assert await s.receive() == {"type": "websocket.connect"}
    for wrong in ({"subprotocol": "other"}, {"headers": [(b"sec-websocket-accept", b"1")]}, {"headers": [(b"a\r\n", b"1")]}):
        try:
            await s.raw({"type": "websocket.accept", **wrong})
        except ValueError as error:
            refused.append(str(error))
    headers = [(b"x-one", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await s.raw({"type": "websocket.accept", "subprotocol": s.query["take"], "headers": headers})
    await s.send(json.dumps(refused))


rooms: dict[str, list[dict[str, Any]]] = defaultdict(list)


async def ws_room(s: Socket) -> None:
    """Joins a room; a text is for everyone in it, and then its sender hears how many were left out."""
    await s.accept()
    room = rooms[s.query["room"]]
    room.append(s.scope)
    async for message in s.messages():
        behind = awaitd.broadcast(room, message)
        await s.send(f"left out: {len(behind)}")
    room.remove(s.scope)


async def ws_dated(s: Socket) -> None:
    """Accepts with the fields that the server adds otherwise."""
    await s.accept(headers=[(b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT"), (b"server", b"mine")])


async def ws_refuse(s: Socket) -> None:
    await s.receive()
    await s.close(4000, "no")
    s.note(await s.receive())


async def ws_return(s: Socket) -> None:
    await s.receive()


async def ws_raise(s: Socket) -> None:
    raise RuntimeError("before the handshake")


async def ws_deny(s: Socket) -> None:
    await s.receive()
    headers = [(b"www-authenticate", b"Basic"), (b"content-length", b"10")]
    await s.raw({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await s.raw({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
    await s.raw({"type": "websocket.http.response.body", "body": b"is it?"})


async def ws_late(s: Socket) -> None:
    """Accepts once its gate is open, then echoes."""
    s.note("waits")
    await s.gate()
    await ws_echo(s)


async def ws_left(s: Socket) -> None:
    """Waits for the end of a client that it has not accepted; then accepts."""
    await s.receive()
    s.note("waits")
    message = await s.receive()
    s.note(f"{message['type']} {message['code']}")
    await s.gate()
    try:
        await s.raw({"type": "websocket.accept"})
    except OSError as error:
        s.note(type(error).__name__)


async def ws_quit(s: Socket) -> None:
    """Accepts, sends one message and returns."""
    await s.accept()
    await s.send("bye")


async def ws_fail(s: Socket) -> None:
    await s.accept()
    await s.send("bye")
    raise RuntimeError("after the handshake")


async def ws_close(s: Socket) -> None:
    await s.accept()
    await s.send("last")
    await s.close(int(s.query["code"]), s.query.get("reason", ""))
    try:
        await s.send("later")
    except Exception as error:
        s.note(f"{type(error).__name__}")
    message = await s.receive()
    s.note(f"{message['type']} {message['code']} {message['reason']!r}")


async def ws_after(s: Socket) -> None:
    """Waits for the client's end, then sends."""
    await ws_echo(s)
    try:
        await s.send("anybody?")
    except OSError as error:
        s.note(f"{type(error).__name__} is an OSError")
    again = await s.receive()
    s.note(f"again {again['code']} {again['reason']!r}")


async def ws_slow(s: Socket) -> None:
    """Receives nothing before its gate is open; counts what it receives."""
    await s.accept()
    s.note("accepted")
    await s.gate()
    total = 0
    async for message in s.messages():
        total += len(message)
        s.count()
        if message == "end" or message == b"end":
            await s.send(json.dumps([counts[s.query["note"]], total]))


async def ws_pour(s: Socket) -> None:
    """Sends `messages` of `size` bytes; its count is how many `await send` have returned."""
    await s.accept()
    block = bytes(int(s.query["size"]))
    try:
        for n in range(int(s.query["messages"])):
            await s.send(n.to_bytes(4) + block)
            s.count()
    except OSError as error:
        s.note(type(error).__name__)
    async for _ in s.messages():
        pass


async def ws_tick(s: Socket) -> None:
    """Sends, every 50 ms."""
    await s.accept()
    try:
        while True:
            await s.send("tick")
            await asyncio.sleep(0.05)
    except OSError:
        message = await s.receive()
        s.note(f"{message['code']} {message['reason']!r}")


async def ws_both(s: Socket) -> None:
    """Sends numbered messages of growing sizes while it echoes: two tasks."""
    await s.accept()

    async def talk() -> None:
        for n in range(int(s.query["messages"])):
            await s.send(n.to_bytes(4) + bytes((n * 37) % int(s.query["most"])))
            if n % 7 == 0:
                await asyncio.sleep(0)

    talking = asyncio.create_task(talk())
    async for message in s.messages():
        await s.send(message)
    await talking


async def ws_pid(s: Socket) -> None:
    await s.accept()
    await s.send(str(os.getpid()))
    async for message in s.messages():
        await s.send(message)


async def http_hello(query: dict[str, str]) -> str:
    return "hello"


async def http_pid(query: dict[str, str]) -> str:
    return str(os.getpid())


async def http_grow(query: dict[str, str]) -> str:
    """Takes memory and keeps it."""
    hoard.append(b"x" * int(query["bytes"]))
    return str(os.getpid())


hoard: list[bytes] = []


async def http_open(query: dict[str, str]) -> str:
    gates[query["gate"]].set()
    return ""


async def http_count(query: dict[str, str]) -> str:
    return str(counts[query["note"]])


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan: shutdown", file=sys.stderr, flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    name = scope["path"].strip("/")
    if scope["type"] == "websocket":
        await globals()[f"ws_{name}"](Socket(scope, receive, send))
        return
    query = {key: values[-1] for key, values in parse_qs(scope["query_string"].decode()).items()}
    answer = globals().get(f"http_{name}")
    while (await receive()).get("more_body"):
        pass
    text = await answer(query) if answer else f"plain {scope['type']}"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode()})
