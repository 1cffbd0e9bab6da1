"""The suite's side of `bridge.wsgi`: a WSGI application in this process answers an exchange of the server."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import frames

Environ = dict[str, Any]


class Exchange:
    """A connection of the bridge: the environ that the server made, its input, and the way back for the response."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb")
        _, self.environ = frames.read_from(self._stream)
        self.environ |= {"wsgi.input": Input(self), "wsgi.errors": sys.stderr}

    def ask(self, *message: Any) -> Any:
        self.tell(*message)
        kind, value = frames.read_from(self._stream)
        if kind == "raised":
            frames.raise_as(*value)
        return value

    def tell(self, *message: Any) -> None:
        self._connection.sendall(frames.encode(*message))

    def start_response(self, status: str, headers: list[tuple[str, str]], _: object = None) -> None:
        self.tell("start", status, headers)

    def send(self, items: Iterable[bytes]) -> None:
        for item in items:
            self.tell("item", item)

    def close(self) -> None:
        self._stream.close()
        self._connection.close()

    def run(self, application: Callable[..., Iterable[bytes]]) -> None:
        """Runs an application as a server does."""
        items: Iterable[bytes] = ()
        try:
            items = application(self.environ, self.start_response)
            self.send(items)
        except Exception as error:
            self.tell("returned", repr(error))
            raise
        finally:
            getattr(items, "close", lambda: None)()
        self.tell("returned", None)


class Input:
    """`wsgi.input`: every call is made on the server's."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def read(self, *size: int) -> bytes:
        return self._exchange.ask("input", "read", *size)

    def readline(self, *size: int) -> bytes:
        return self._exchange.ask("input", "readline", *size)

    def readlines(self, *hint: int) -> list[bytes]:
        return self._exchange.ask("input", "readlines", *hint)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")
