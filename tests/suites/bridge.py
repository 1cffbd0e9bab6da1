"""The applications that the server runs: they hand each exchange to the process of the suite, and do as it says.

A request that a test made has its number in a header, which no application gets to see; `$BRIDGE_SOCKET.<number>` is where
that test listens. A request without one goes to `$BRIDGE_SOCKET`, where a suite's live server listens. The first frame is the
scope, or the environ, that the server made. From then on the other end asks for `receive` and `send`, which are called here as
often and as concurrently as its application does; of WSGI for the input's methods, `start_response`, `write`, the items of the
body one by one, files in a `wsgi.file_wrapper`, and it is told when the server closes the iterable. So the server meets every
message of an application that lives in another process, objects of the test and all.
"""

import asyncio
import io
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
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
    scope["extensions"].pop("awaitd.broadcast", None)  # a handle, good in its own process only
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


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    number = environ.pop("HTTP_" + frames.CALL.upper().replace("-", "_"), None)
    exchange = WSGIExchange(SOCKET if number is None else f"{SOCKET}.{number}", environ, start_response)
    try:
        match exchange.serve():
            case ("iterate",):
                return exchange
            case "file", path, offset, size:
                return environ["wsgi.file_wrapper"](File(path, offset, exchange), size)
            case "like a file", size:
                return environ["wsgi.file_wrapper"](FileLike(exchange), size)
            case _, error:
                raise ApplicationRaised(error)
    except BaseException:
        exchange.close()
        raise


class WSGIExchange:
    """One exchange over WSGI; as an iterable, the items of the application's."""

    def __init__(self, path: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> None:
        self._start_response = start_response
        body = environ["wsgi.input"]
        self._calls = {"start_response": self._start, "read": body.read, "readline": body.readline, "readlines": body.readlines}
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(path)
        self._stream = self._connection.makefile("rb")
        self.tell("environ", {key: value for key, value in environ.items() if isinstance(value, str | int | bool | tuple)})

    def tell(self, *message: Any) -> None:
        self._connection.sendall(frames.encode(*message))

    def ask(self, *message: Any) -> Any:
        self.tell(*message)
        kind, value = self.serve()
        if kind == "raised":
            frames.raise_as(*value)
        return value

    def serve(self) -> Any:
        """Calls what the application calls, until it says something else."""
        while True:
            match frames.read_from(self._stream):
                case "call", name, *arguments:
                    self.tell(*frames.outcome(self._calls[name], *arguments))
                case message:
                    return message

    def _start(self, status: str, headers: list[tuple[str, str]], error: tuple[str, str] | None) -> None:
        if error is None:
            self._calls["write"] = self._start_response(status, headers)
            return
        try:
            frames.raise_as(*error)
        except Exception:
            self._calls["write"] = self._start_response(status, headers, sys.exc_info())

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        match self.serve():
            case "item", item:
                return item
            case "returned", None:
                raise StopIteration
            case _, error:
                raise ApplicationRaised(error)

    def close(self) -> None:
        """Has the application's iterable closed, unless its process has gone."""
        try:
            self.ask("close")
        except (EOFError, OSError):
            pass
        finally:
            self._stream.close()
            self._connection.close()


class File(io.FileIO):
    """A file that the application has open, opened again: the server may read it without asking."""

    def __init__(self, path: str, offset: int, exchange: WSGIExchange) -> None:
        super().__init__(path)
        self.seek(offset)
        self._exchange = exchange

    def close(self) -> None:
        super().close()
        self._exchange.close()


class FileLike:
    """What has a method `read` over there."""

    def __init__(self, exchange: WSGIExchange) -> None:
        self._exchange = exchange

    def read(self, *size: int) -> bytes:
        return self._exchange.ask("read", *size)

    def close(self) -> None:
        self._exchange.close()
