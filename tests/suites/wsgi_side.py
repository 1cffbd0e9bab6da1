"""The suite's side of `bridge.wsgi`: a WSGI application in this process answers an exchange of the server."""

from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import frames

Environ = dict[str, Any]


class Closed(Exception):
    """The server has closed the application's iterable: its client has left."""


class FileWrapper:
    """`wsgi.file_wrapper`: the server gets its own around the file."""

    def __init__(self, file: Any, size: int = 8192) -> None:
        self.file = file
        self.size = size
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.file.read(self.size), b"")


class Exchange:
    """A connection of the bridge: the environ that the server made, its input, and the way back for the response."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb")
        _, self.environ = frames.read_from(self._stream)
        self.input = Input(self)
        self.environ |= {"wsgi.input": self.input, "wsgi.errors": sys.stderr, "wsgi.file_wrapper": FileWrapper}

    def call(self, name: str, *arguments: Any) -> Any:
        """Calls something of the server's."""
        self.tell("call", name, *arguments)
        kind, *value = frames.read_from(self._stream)
        if kind == "close":
            raise Closed
        if kind == "raised":
            frames.raise_as(*value[0])
        return value[0]

    def tell(self, *message: Any) -> None:
        self._connection.sendall(frames.encode(*message))

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        try:
            self.call("start_response", status, headers, exc_info and frames.describe(exc_info[1]))
        except Exception:
            if exc_info:  # after output it is to be raised: that one, not what came over the bridge
                raise exc_info[1].with_traceback(exc_info[2]) from None
            raise
        return self.write

    def write(self, data: bytes) -> None:
        self.call("write", data)

    def send(self, items: Iterable[bytes]) -> None:
        for item in items:
            self.tell("item", item)

    def send_file(self, wrapper: FileWrapper) -> None:
        """Has a file sent by the server, and waits until it is closed there."""
        try:
            descriptor, offset = wrapper.file.fileno(), wrapper.file.tell()
        except (AttributeError, io.UnsupportedOperation):
            self.tell("like a file", wrapper.size)
        else:
            self.tell("file", f"/proc/{os.getpid()}/fd/{descriptor}", offset, wrapper.size)
        while True:
            match frames.read_from(self._stream):
                case "read", *size:
                    self.tell(*frames.outcome(wrapper.file.read, *size))
                case ("close",):
                    return

    def finish(self, error: BaseException | None, close: Callable[[], None] = lambda: None) -> None:
        """Ends the iterable, has it closed when the server closes it, and says so."""
        try:
            self.tell("returned", None if error is None else repr(error))
            frames.read_from(self._stream)
        except (EOFError, OSError):  # closed before: the client has left
            close()
        else:
            self.closed(close)

    def closed(self, close: Callable[[], None]) -> None:
        """The server has closed the iterable."""
        try:
            close()
        finally:
            with suppress(OSError):
                self.tell("gave", None)

    def close(self) -> None:
        self._stream.close()
        self._connection.close()

    def run(self, application: Callable[..., Iterable[bytes]]) -> None:
        """Runs an application as a server does."""
        items: Iterable[bytes] = ()
        error = None
        try:
            items = application(self.environ, self.start_response)
            if isinstance(items, FileWrapper):
                self.send_file(items)
                self.closed(closing(items))
                return
            self.tell("iterate")
            self.send(items)
        except Exception as raised:
            error = raised
        try:
            self.finish(error, closing(items))
        finally:
            if error:
                raise error


def closing(items: object) -> Callable[[], None]:
    return getattr(items, "close", lambda: None)


class Input:
    """`wsgi.input`: every call is made on the server's. `asked` tells whether there was one."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.asked = False

    def read(self, *size: int) -> bytes:
        return self._call("read", *size)

    def readline(self, *size: int) -> bytes:
        return self._call("readline", *size)

    def readlines(self, *hint: int) -> list[bytes]:
        return self._call("readlines", *hint)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _call(self, name: str, *arguments: int) -> Any:
        self.asked = True
        return self._exchange.call(name, *arguments)
