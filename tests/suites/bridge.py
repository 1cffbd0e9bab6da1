"""The applications that the server runs: they hand each exchange to the process of the suite, and do as it says.

A request that a test made has its number in a header, which no application gets to see; `$BRIDGE_SOCKET.<number>` is where
that test listens. A request without one goes to `$BRIDGE_SOCKET`, where a suite's live server listens. The first frame is the
scope, or the environ, that the server made. From then on the other end asks for `receive` and `send`, which are called here as
often and as concurrently as its application does; of WSGI for the input's methods, `start_response` and the items of the body.
So the server meets every message of an application that lives in another process, objects of the test and all.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import frames

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SOCKET = os.environ["BRIDGE_SOCKET"]


class ApplicationRaised(Exception):
    """What the application raised, over there."""


async def asgi(scope: Message, receive: Receive, send: Send) -> None:
    numbers = [value.decode() for name, value in scope["headers"] if name == frames.CALL.encode()]
    headers = [pair for pair in scope["headers"] if pair[0] != frames.CALL.encode()]
    # `state` is the suite's business: the lifespan of its applications is there.
    scope = {key: value for key, value in scope.items() if key != "state"} | {"headers": headers}
    reader, writer = await asyncio.open_unix_connection(".".join([SOCKET, *numbers]))
    try:
        await Exchange(reader, writer, receive, send).run(scope)
    finally:
        writer.close()


class Exchange:
    """One exchange over ASGI."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receive: Receive, send: Send) -> None:
        self.reader = reader
        self.writer = writer
        self.calls: dict[str, Callable[..., Awaitable[Message | None]]] = {"receive": receive, "send": send}
        self.running: dict[int, asyncio.Task[None]] = {}

    async def run(self, scope: Message) -> None:
        self.writer.write(frames.encode("scope", scope))
        try:
            while True:
                match await frames.read(self.reader.readexactly):
                    case "call", key, name, *arguments:
                        self.running[key] = asyncio.create_task(self.call(key, name, *arguments))
                    case "cancel", key:
                        await asyncio.sleep(0)  # so that it has begun
                        if key in self.running:
                            self.running[key].cancel()
                    case "returned", None:
                        return
                    case "returned", error:
                        raise ApplicationRaised(error)
        finally:
            for task in self.running.values():
                task.cancel()

    async def call(self, key: int, name: str, *arguments: Any) -> None:
        answer: tuple[Any, ...]
        try:
            answer = "gave", key, await self.calls[name](*arguments)
        except asyncio.CancelledError:
            answer = "cancelled", key
        except Exception as error:
            answer = "raised", key, frames.describe(error)
        del self.running[key]
        self.writer.write(frames.encode(*answer))


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    number = environ.pop("HTTP_" + frames.CALL.upper().replace("-", "_"), None)
    path = SOCKET if number is None else f"{SOCKET}.{number}"
    plain = {key: value for key, value in environ.items() if isinstance(value, str | int | bool | tuple)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(frames.encode("environ", plain))
        with connection.makefile("rb") as stream:
            while True:
                match frames.read_from(stream):
                    case "input", name, *arguments:
                        connection.sendall(frames.encode(*frames.outcome(getattr(environ["wsgi.input"], name), *arguments)))
                    case "start", status, headers:
                        start_response(status, headers)
                    case "item", item:
                        yield item
                    case "returned", None:
                        return
                    case "returned", error:
                        raise ApplicationRaised(error)
