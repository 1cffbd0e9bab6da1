"""Run a Tornado application as an ASGI one, by the interfaces that Tornado's own HTTPServer calls it by.

``Application.start_request`` gives an ``HTTPMessageDelegate`` for each request, which is told of its head and body; it answers
by the ``HTTPConnection`` it was given, ``Connection`` here. Nothing of Tornado is replaced. WebSockets: ``_tornado_socket.py``.

As with Tornado's HTTP1Connection, an awaitable that the delegate returns holds the body back; of a body that nobody wants any
more, since the response is complete, nothing is delivered; the close callback is called when the client leaves while the
response is made, and ``delegate.on_connection_close`` if it leaves before the body is whole.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import warnings
from collections.abc import Callable
from typing import Any

from tornado import httputil
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.log import gen_log

from ._errors import StartupError
from ._interface import ASGI3, Message, Receive, Scope, Send
from ._tornado_socket import FrameStream, NotAStream, taken

#: Fields that are the server's in the answer to a WebSocket's handshake, besides those that begin with ``sec-websocket-``.
_HANDSHAKE = frozenset(
    (b"connection", b"upgrade", b"content-length", b"content-type", b"transfer-encoding", b"server", b"date")
)

#: What Tornado's handlers look for in a handshake; HTTP/2 has none of them.
_UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-Websocket-Version": "13",
    "Sec-Websocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def adapt(application: object, target: str) -> ASGI3:
    """Return the ASGI application that runs a Tornado one. Raises ``StartupError``."""
    if not isinstance(application, httputil.HTTPServerConnectionDelegate):
        raise _not_tornado(application, target)
    _prepare_logging()
    _stop_autoreload()
    return Adapter(application)


def _not_tornado(application: object, target: str) -> StartupError:
    problem = f"can't start `{target}` as a Tornado application: a {type(application).__name__} is none"
    hint = "expected a `tornado.web.Application`, or another `HTTPServerConnectionDelegate`"
    if isinstance(application, type) or hasattr(application, "__code__"):
        hint += "; if it returns one, `--factory` calls it"
    return StartupError("import", problem, hint)


def _prepare_logging() -> None:
    """As ``IOLoop.start()`` has it, which is not called here: messages go to stderr unless the application has other plans."""
    loggers = (logging.getLogger(name) for name in (None, "tornado", "tornado.application"))
    if not any(logger.handlers for logger in loggers):
        logging.basicConfig()


def _stop_autoreload() -> None:
    """``debug=True`` has Tornado replace the process when a file changes. It is the server's; ``--reload`` does that."""
    from tornado import autoreload

    if hasattr(autoreload, "_reload_attempted"):
        autoreload._reload_attempted = True


class Adapter:
    """The ASGI application. Of a lifespan Tornado knows nothing."""

    def __init__(self, application: httputil.HTTPServerConnectionDelegate) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            run = self._answer
        elif scope["type"] == "websocket":
            run = self._talk
        else:
            raise NotImplementedError(f"Tornado has no {scope['type']}")
        connection = Connection(scope, receive, send)
        exchange = _Exchange(self._application, connection)
        try:
            await run(exchange, connection, receive)
        except httputil.HTTPInputError as error:
            gen_log.info("Malformed HTTP message from %s: %s", connection.context, error)
            exchange.end()
            connection.refuse(400)
        except BaseException as error:
            exchange.end()
            connection.lose()
            if connection.failure is None or not isinstance(error, asyncio.CancelledError):
                raise
            connection.task.uncancel()
            raise connection.failure from None
        finally:
            self._application.on_close(connection.context)

    async def _answer(self, exchange: _Exchange, connection: Connection, receive: Receive) -> None:
        await exchange.begin()
        if not await exchange.read(receive):
            return
        while (await receive())["type"] != "http.disconnect":
            pass
        if connection.complete:  # which may be seen before the handler has said so
            await connection.over
            await connection.sent()
        connection.lose()

    async def _talk(self, exchange: _Exchange, connection: Connection, receive: Receive) -> None:
        await receive()  # websocket.connect
        connection.watch()
        try:
            await exchange.begin()
            exchange.finish()
            await connection.over
            await connection.sent()
        finally:
            connection.unwatch()


class _Exchange:
    """What a delegate is told of a request: its head, its body, and then one of finish and on_connection_close."""

    def __init__(self, application: httputil.HTTPServerConnectionDelegate, connection: Connection) -> None:
        self._application = application
        self._connection = connection
        self._delegate: httputil.HTTPMessageDelegate | None = None  # while it is owed one of the two

    async def begin(self) -> None:
        """Tell of the head, and wait until the body is wanted."""
        connection = self._connection
        line, headers = connection.head()
        delegate = self._application.start_request(connection.context, connection)
        self._delegate = delegate
        waited = delegate.headers_received(line, headers)
        if waited is not None:
            await waited
        length = headers.get("Content-Length", "")
        if connection.max_body_size is not None and length.isdecimal() and int(length) > connection.max_body_size:
            raise httputil.HTTPInputError("Content-Length too long")

    async def read(self, receive: Receive) -> bool:
        """Deliver the body. Returns False if that is the end: the client has left, or the response is complete."""
        if self._connection.body_timeout is None:
            return await self._deliver(receive)
        try:
            async with asyncio.timeout(self._connection.body_timeout):
                return await self._deliver(receive)
        except TimeoutError:
            gen_log.info("Timeout reading body from %s", self._connection.context)
            self.end()
            self._connection.refuse(408)
            return False

    async def _deliver(self, receive: Receive) -> bool:
        connection, delegate, size, more = self._connection, self._delegate, 0, True
        assert delegate is not None
        while more:
            message = await receive()
            if connection.finished:
                return False
            if message["type"] == "http.disconnect":
                connection.closed = True
                self.end()
                return False
            body, more = message["body"], message["more_body"]
            size += len(body)
            if connection.max_body_size is not None and size > connection.max_body_size:
                raise httputil.HTTPInputError("body too long")
            waited = delegate.data_received(body) if body else None
            if waited is not None:
                await waited
            if connection.finished:
                return False
        self.finish()
        return True

    def finish(self) -> None:
        """Tell that the request is whole."""
        delegate, self._delegate = self._delegate, None
        if delegate is not None and not self._connection.finished:
            delegate.finish()

    def end(self) -> None:
        """Tell that it will never be."""
        delegate, self._delegate = self._delegate, None
        if delegate is not None and not self._connection.finished:
            self._connection.set_close_callback(None)  # of a handler that is there already the delegate knows
            delegate.on_connection_close()


class Context:
    """Who is at the other end, for HTTPServerRequest. It is the opaque ``server_conn``, too: each request has its own."""

    def __init__(self, scope: Scope) -> None:
        self.address = scope.get("client") or (scope.get("server") or ("",))[0]
        host = self.address[0] if isinstance(self.address, (tuple, list)) else ""
        self.address_family = socket.AF_UNIX if not host else socket.AF_INET6 if ":" in host else socket.AF_INET
        self.remote_ip = host or "0.0.0.0"  # as Tornado has it for unix sockets
        self.protocol = "https" if scope["scheme"] in ("https", "wss") else "http"

    def __str__(self) -> str:
        return self.remote_ip if self.address_family != socket.AF_UNIX else str(self.address)


class Connection(httputil.HTTPConnection):
    """One request and its response, for the handler: ``request.connection``."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.context = Context(scope)
        self.no_keep_alive = False
        self.max_body_size: int | None = None
        self.body_timeout: float | None = None
        self.complete = False  # all of the response was sent
        self.finished = False  # the handler has said so
        self.closed = False  # nothing can be sent any more
        self.failure: Exception | None = None  # why the response can't be completed
        self.task = _current_task()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stream: NotAStream | None = NotAStream(self)
        self._scope = scope
        self._receive = receive
        self._send = send
        self._messages = "http.response" if scope["type"] == "http" else "websocket.http.response"
        self._begun = False  # the head was sent
        self._sending: asyncio.Future[None] | None = None  # what was sent last
        self._left: int | None = None  # of the Content-Length
        self._close_callback: Callable[[], None] | None = None
        self._watch: asyncio.Future[Message] | None = None
        self._frames: FrameStream | None = None

    # What the adapter asks.

    def head(self) -> tuple[httputil.RequestStartLine, httputil.HTTPHeaders]:
        """Return the request's head as Tornado has it."""
        scope = self._scope
        uri = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            uri += "?" + scope["query_string"].decode("latin-1")
        headers = httputil.HTTPHeaders()
        for name, value in scope["headers"]:
            headers.add(name.decode("latin-1"), value.decode("latin-1"))
        if len(cookies := headers.get_list("Cookie")) > 1:
            headers["Cookie"] = "; ".join(cookies)
        if scope["type"] == "websocket":
            for name, value in _UPGRADE.items():
                headers.setdefault(name, value)
            headers.pop("Sec-Websocket-Extensions", None)  # agreed upon by the server
        method = scope.get("method", "GET")
        return httputil.RequestStartLine(method, uri, f"HTTP/{scope['http_version']}"), headers

    def refuse(self, status: int) -> None:
        """Answer what the handler won't, unless it has begun to."""
        if not self.closed and not self._begun:
            self.finished = True
            self._message("start", status=status, headers=[])
            self._message("body", body=b"")
        self.lose()

    async def sent(self) -> None:
        """Wait until the server has all that was sent."""
        if self._sending is not None and not self._sending.done():
            await asyncio.wait([self._sending])

    def lose(self) -> None:
        """Take note that nothing can be sent any more, and tell the handler if it is not done."""
        callback, self._close_callback = self._close_callback, None
        self.closed = True
        if self._frames is not None:
            self._frames.lose()
        if callback is not None and not self.finished:
            callback()
        self._end()

    def watch(self) -> None:
        """Hear of a client that leaves before its WebSocket is accepted."""
        self._watch = asyncio.ensure_future(self._receive())
        self._watch.add_done_callback(lambda watch: None if watch.cancelled() else self.lose())

    def unwatch(self) -> None:
        """Leave it to others to receive."""
        if self._watch is not None:
            self._watch.cancel()

    # What Tornado's handlers ask.

    def write_headers(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        """Send the head, and a part of the body."""
        assert isinstance(start_line, httputil.ResponseStartLine)
        status = start_line.code
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.get_all()]
        if status == 101 and self._scope["type"] == "websocket":
            return self._accept(fields, headers.get("Sec-Websocket-Protocol"))
        if self._scope.get("method") == "HEAD" or status in (204, 304):
            self._left = 0
        elif "Content-Length" in headers:
            self._left = self._length(headers["Content-Length"])
        chunk = self._counted(chunk or b"")
        self._begun = True
        if self.no_keep_alive:
            fields.append((b"connection", b"close"))
        self._message("start", status=status, headers=fields, reason=start_line.reason)
        return self._body(chunk)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Send a part of the body. The future is done when the server has taken it."""
        if not self._begun and not self.closed:
            raise self._fail(RuntimeError("write_headers() comes before write(): the head's bytes are the server's business"))
        return self._body(self._counted(chunk))

    def finish(self) -> None:
        """End the response."""
        if self._left and not self.closed:
            raise self._fail(httputil.HTTPOutputError(f"Tried to write {self._left} bytes less than Content-Length"))
        self.finished = True
        if self._frames is None and not self.complete:
            self._left = 0
            self._body(b"")
        if self._frames is None:
            self._end()

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Have ``callback`` called when the client leaves before the response is complete."""
        self._close_callback = callback

    def set_max_body_size(self, max_body_size: int) -> None:
        """Refuse a longer body, from now on. What the server refuses before counts as well."""
        self.max_body_size = max_body_size

    def set_body_timeout(self, timeout: float) -> None:
        """Refuse a body that takes longer, in seconds."""
        self.body_timeout = timeout

    def close(self) -> None:
        """Cut the response; one that has not begun becomes the server's 500."""
        if not self.complete and not self.closed:
            self._fail(ConnectionAbortedError("the application has closed the connection"))

    def detach(self) -> FrameStream:
        """Return the stream of a WebSocket that was accepted; there is no other."""
        if self._frames is None:
            raise RuntimeError("detach() has nothing to give: the connection is the server's, and this is no WebSocket")
        self.stream = None
        return self._frames

    # How it is done.

    def _accept(self, fields: list[tuple[bytes, bytes]], subprotocol: str | None) -> asyncio.Future[None]:
        self.unwatch()
        fields = [(name.lower(), value) for name, value in fields]
        kept = [(name, value) for name, value in fields if name not in _HANDSHAKE and not name.startswith(b"sec-websocket-")]
        self._frames = FrameStream(self._receive, self._send, self._end)
        return self._hand({"type": "websocket.accept", "subprotocol": subprotocol, "headers": kept, "pings": True})

    def _length(self, value: str) -> int:
        if not (value.isascii() and value.isdecimal()):
            raise self._fail(ValueError(f"Content-Length is not an integer: {value!r}"))
        return int(value)

    def _counted(self, chunk: bytes) -> bytes:
        """Keep the account of the Content-Length."""
        if self._left is not None:
            self._left -= len(chunk)
            if self._left < 0:
                raise self._fail(httputil.HTTPOutputError("Tried to write more data than Content-Length"))
        return chunk

    def _body(self, chunk: bytes) -> asyncio.Future[None]:
        """Send a part of the body: the last, if it is known by the Content-Length."""
        last = self._left == 0
        if self.complete or not (chunk or last):
            return taken(None)
        self.complete = last
        return self._message("body", body=chunk, more_body=not last)

    def _message(self, kind: str, **keys: Any) -> asyncio.Future[None]:
        return self._hand({"type": f"{self._messages}.{kind}", **keys})

    def _hand(self, message: Message) -> asyncio.Future[None]:
        if self.closed:
            return taken(StreamClosedError())
        try:
            self._sending = taken(self._send(message))
        except OSError as error:
            return taken(StreamClosedError(error))
        return self._sending

    def _fail(self, error: Exception) -> Exception:
        """End the exchange: the response can't be completed."""
        if not self.closed:
            self.closed, self.failure = True, error
            self.task.cancel()
        return error

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def made_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that an import has made its IOLoop of, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of asyncio, whom Tornado asks, if there is none
        found = IOLoop.current(instance=False)
    return getattr(found, "asyncio_loop", None)
