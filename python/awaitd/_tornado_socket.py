"""The stream that a Tornado WebSocketHandler gets by ``detach()``: ASGI's messages as the frames that its protocol expects.

WebSocketHandler makes its WebSocketProtocol13 itself, by no interface that a server could use. So that one stays, with all that
it does for a handler (order, exceptions, size limit, close), and has its frames cut and joined here: a frame of a client is a
whole message, not masked and not compressed, and so is each of its own. What frames are on the connection, the server knows.

Pings are an extension of ASGI: the protocol hears of the client's, and its pongs are dropped, for the server has answered.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError

from ._interface import Message, Receive, Send

if TYPE_CHECKING:
    from ._tornado import Connection

_FIN = 0x80
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10

#: Codes that stand for what is no close frame.
_NO_STATUS, _ABNORMAL = 1005, 1006

#: What a handler's exception closes its WebSocket with. (Tornado's server cuts the connection.)
_FAILED = 1011


def taken(awaitable: Awaitable[Any] | Exception | None) -> asyncio.Future[Any]:
    """Return a future that is done when ``awaitable`` is, or has the exception. Nobody needs to look at it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    if isinstance(awaitable, Exception):
        future.set_exception(awaitable)
        future.exception()
    elif awaitable is None or _is_done(awaitable):
        future.set_result(None)
    else:
        future = loop.create_task(_until(awaitable))
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


def _is_done(awaitable: Any) -> bool:
    """Ask the accelerator's awaitable: unlike a coroutine it may be asked from anywhere, and asked again."""
    if getattr(awaitable, "_asyncio_future_blocking", False) is not None:
        return False
    try:
        awaitable.send(None)
    except StopIteration:
        return True
    awaitable.close()
    return False


async def _until(awaitable: Awaitable[None]) -> None:
    try:
        await awaitable
    except OSError as error:
        raise StreamClosedError(error) from None


class NotAStream:
    """``request.connection.stream``: what applications look at there, as far as there is any."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.socket = self

    def closed(self) -> bool:
        return self._connection.closed

    def close(self) -> None:
        self._connection.close()

    def set_nodelay(self, value: bool) -> None:
        """Leave it to the server, which never delays."""

    def getpeercert(self, binary_form: bool = False) -> None:
        """Return nothing: of a client's certificate nothing is known here."""


class FrameStream:
    """What WebSocketProtocol13 uses of an IOStream."""

    def __init__(self, receive: Receive, send: Send, over: Callable[[], None]) -> None:
        self._receive = receive
        self._send = send
        self._over = over
        self._parts: deque[bytes] = deque()  # of frames that wait to be read
        self._reading: Any = None  # the receive() that is waited for
        self._interrupted = False  # it was cancelled, since the exchange is over
        self._closed = False
        self._close_sent = False
        self._close_callback: Callable[[], None] | None = None

    @property
    def io_loop(self) -> IOLoop:
        return IOLoop.current()

    def set_nodelay(self, value: bool) -> None:
        """Leave it to the server, which never delays."""

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        self._close_callback = callback

    def closed(self) -> bool:
        return self._closed

    def close(self, exc_info: object = False) -> None:
        """End the WebSocket, with a code if the protocol has not said one."""
        if self._closed:
            return
        if not self._close_sent:
            self._hand({"type": "websocket.close", "code": _FAILED})
        self._closed = True
        self._over()
        if self._close_callback is not None:
            IOLoop.current().add_callback(self._close_callback)

    def lose(self) -> None:
        """Take note that the exchange is over."""
        self._close_sent = True
        self.close()
        self._interrupt()

    async def read_bytes(self, num_bytes: int, partial: bool = False) -> bytes:
        """Return the next bytes of frames. Raises ``StreamClosedError`` when the client has left without a close frame."""
        parts = self._parts
        while num_bytes and not parts:
            await self._read()
        if num_bytes and len(parts[0]) == num_bytes:  # WebSocketProtocol13 reads a frame in the parts that are made here
            return parts.popleft()
        return await self._read_across(num_bytes)

    async def _read_across(self, num_bytes: int) -> bytes:
        found = bytearray()
        while len(found) < num_bytes:
            while not self._parts:
                await self._read()
            part = self._parts.popleft()
            missing = num_bytes - len(found)
            found += part[:missing]
            if len(part) > missing:
                self._parts.appendleft(part[missing:])
        return bytes(found)

    async def _read(self) -> None:
        if self._closed:
            raise StreamClosedError()
        self._interrupted = False
        waiting: Any = self._receive()
        if not hasattr(waiting, "cancel"):
            waiting = asyncio.ensure_future(waiting)
        self._reading = waiting
        try:
            message = await waiting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._interrupted or (task is not None and task.cancelling()):
                raise
            return
        finally:
            self._reading = None
        self._take(message)

    def _take(self, message: Message) -> None:
        """Make frames of what was received."""
        if message["type"] == "awaitd.websocket.ping":
            self._add(_PING, message["bytes"])
        elif message["type"] == "awaitd.websocket.pong":
            self._add(_PONG, message["bytes"])
        elif message["type"] != "websocket.receive":
            code, reason = message.get("code", _NO_STATUS), (message.get("reason") or "").encode()
            if code == _ABNORMAL:
                self._close_sent = True
                self.close()
                raise StreamClosedError()
            own = self._close_sent  # then it is our own word that comes back
            self._close_sent = True
            self._add(_CLOSE, b"" if code == _NO_STATUS else struct.pack("!H", code) + (b"" if own else reason))
        elif (text := message.get("text")) is not None:
            self._add(_TEXT, text.encode())
        else:
            self._add(_BINARY, message["bytes"])

    def _add(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            self._parts.append(bytes((_FIN | opcode, size)))
        elif size < 1 << 16:
            self._parts += (bytes((_FIN | opcode, 126)), size.to_bytes(2, "big"))
        else:
            self._parts += (bytes((_FIN | opcode, 127)), size.to_bytes(8, "big"))
        if payload:
            self._parts.append(payload)

    def write(self, data: bytes) -> asyncio.Future[None]:
        """Send one frame. Raises ``StreamClosedError`` when the client has left; the future is done when the server has it."""
        opcode, size = data[0] & 0x0F, data[1]
        start = {126: 4, 127: 10}.get(size, 2)
        payload = data[start:]
        if opcode == _TEXT:
            return self._hand({"type": "websocket.send", "text": str(payload, "utf-8")})
        if opcode == _BINARY:
            return self._hand({"type": "websocket.send", "bytes": payload})
        if opcode == _CLOSE:
            return self._say_close(payload)
        if opcode == _PING:
            return self._hand({"type": "awaitd.websocket.ping", "bytes": payload})
        return taken(None)

    def _say_close(self, payload: bytes) -> asyncio.Future[None]:
        if self._close_sent:
            return taken(None)
        code = struct.unpack("!H", payload[:2])[0] if payload else 1000
        future = self._hand({"type": "websocket.close", "code": code, "reason": payload[2:].decode()})
        self._close_sent = True
        return future

    def _interrupt(self) -> None:
        """Have the one who waits for a message look again."""
        if self._reading is not None:
            self._interrupted = True
            self._reading.cancel()

    def _hand(self, message: Message) -> asyncio.Future[None]:
        if self._closed or self._close_sent:
            raise StreamClosedError()
        try:
            return taken(self._send(message))
        except OSError as error:
            raise StreamClosedError(error) from None
