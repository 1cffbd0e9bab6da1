"""Starlette's TestClient, whose requests go through a real server.

Everything of the client stays as it is: its base URL, cookies, lifespan, the event loop that its application runs in. Only the
transport below it is another: it sends the request over a socket to the server, whose worker runs `bridge`, which asks back
here for what the application does. What a proxy in front of the server would say of a request (scheme, client, server, root
path) is put into the scope as the test has asked for it: one server without TLS answers for all.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import anyio
import h11
import httpx2 as httpx
from anyio.abc import ByteStream, TaskGroup, TaskStatus
from anyio.from_thread import BlockingPortal
from anyio.streams.buffered import BufferedByteReceiveStream
from httpcore2._sync.http11 import HTTP11Connection

import frames
from live import Live

Message = dict[str, Any]

LEAVE_WITHIN = 2  # seconds for an application to end by itself when its client has left; the test client cancels it at once
TIMEOUT = {"connect": 5, "pool": 5, "write": 5, "read": 5}  # seconds, after which a test has failed


class NotServed(Exception):
    """What the server does not do yet."""


class Call:
    """One exchange, seen from its application.

    `called`: the server has asked for the application; `began`, `finished`: it has sent its first message, its last.
    """

    numbers = itertools.count(1)
    future: Future[None]

    def __init__(self, app: Callable[..., Any], overrides: Message, folder: str) -> None:
        self.number = str(next(self.numbers))
        self.called = self.began = self.finished = False
        self.trailers = False
        self.debug: Message | None = None
        self._app = app
        self._overrides = overrides
        self._path = f"{folder}.{self.number}"
        self._keys = itertools.count()
        self._waiting: dict[int, tuple[anyio.Event, list[Any]]] = {}
        self._unread: list[Message] = []

    def start(self, portal: BlockingPortal) -> None:
        """Starts the application's task, and waits until it listens."""
        self._portal = portal
        self.future, _ = portal.start_task(self.run)

    def cancel(self) -> None:
        self._portal.call(self.cancel_here)

    def cancel_here(self) -> None:
        """Cancels the application from its own event loop."""
        self._cancelling.cancel()

    def failure(self) -> BaseException | None:
        """What the application raised; waits for its end, for a while only if nobody reads its response any more."""
        wait_for([self.future], None if self.finished else LEAVE_WITHIN)
        if not self.future.done():
            self.cancel()
        wait_for([self.future])
        return self.future.exception()

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Waits for the server's call, and runs the application; raises what that raises."""
        failure = None
        with anyio.CancelScope() as self._cancelling:
            async with await anyio.create_unix_listener(self._path) as listener:
                task_status.started()
                stream = await listener.accept()
            async with stream, anyio.create_task_group() as tasks:
                failure = await self._converse(stream, tasks)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        if failure:
            raise failure

    async def _converse(self, stream: ByteStream, tasks: TaskGroup) -> Exception | None:
        """Runs the application with the scope that comes; gives what it raised."""
        failure = None
        self._stream, self._writing, self._hearing = stream, anyio.Lock(), anyio.CancelScope(shield=True)
        reader = BufferedByteReceiveStream(stream)
        _, scope = await frames.read(reader.receive_exactly)
        scope |= self._overrides
        scope.setdefault("extensions", {})["http.response.debug"] = {}
        self.called = True
        tasks.start_soon(self._hear, reader)
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            failure = error
        finally:
            self._hearing.cancel()
        await self._tell("returned", None if failure is None else repr(failure))
        return failure

    async def _receive(self) -> Message:
        return self._unread.pop() if self._unread else await self._ask("receive")

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.debug":
            self.debug = message["info"]  # for the test client alone
            return
        # Set before it is so: the response may be here before the word that the message was taken.
        before = self.began, self.finished
        if message["type"] == "http.response.start":
            self.began, self.trailers = True, message.get("trailers", False)
        elif message["type"] == "http.response.trailers":
            self.finished = not message.get("more_trailers", False)
        elif message["type"] == "http.response.body":
            self.finished = not message.get("more_body", False) and not self.trailers
        try:
            await self._ask("send", message)
        except BaseException:
            self.began, self.finished = before
            raise

    async def _ask(self, name: str, *arguments: Any) -> Any:
        """Has `receive` or `send` called in the worker. What a cancelled `receive` has got meanwhile is the next one's."""
        key, event, answer = next(self._keys), anyio.Event(), list[Any]()
        self._waiting[key] = event, answer
        # In a cancelled scope a call that need not wait gives its answer all the same: so an application asks without waiting.
        polling = anyio.current_effective_deadline() == -math.inf
        await self._tell("call", key, name, *arguments)
        try:
            if polling:
                await self._cancel(key, event)
            if not answer or answer[0] == "cancelled":
                await event.wait()
        except BaseException:
            await self._cancel(key, event)
            if name == "receive" and answer[0] == "gave":
                self._unread.append(answer[1])
            raise
        if answer[0] == "raised":
            frames.raise_as(*answer[1])
        return answer[1]

    async def _cancel(self, key: int, event: anyio.Event) -> None:
        with anyio.CancelScope(shield=True):
            await self._tell("cancel", key)
            await event.wait()

    async def _hear(self, reader: BufferedByteReceiveStream) -> None:
        # Shielded: who is cancelled waits for the worker's answer still.
        with self._hearing, contextlib.suppress(anyio.IncompleteRead, anyio.BrokenResourceError):
            while True:
                kind, key, *value = await frames.read(reader.receive_exactly)
                event, answer = self._waiting.pop(key)
                answer += [kind, *value]
                event.set()
        for event, answer in self._waiting.values():  # nobody, unless the worker is gone
            answer += ["raised", ("ConnectionResetError", "the server's worker is gone")]
            event.set()

    async def _tell(self, *message: Any) -> None:
        frame = frames.encode(*message)
        with anyio.CancelScope(shield=True):
            async with self._writing:
                await self._stream.send(frame)


class Transport(httpx.BaseTransport):
    """In the place of Starlette's `_TestClientTransport`, with its arguments and its way with exceptions."""

    live = Live("asgi")
    wire = httpx.HTTPTransport()

    def __init__(
        self,
        app: Callable[..., Any],
        portal_factory: Callable[[], AbstractContextManager[BlockingPortal]],
        raise_server_exceptions: bool = True,
        root_path: str = "",
        *,
        client: tuple[str, int],
        app_state: dict[str, Any],
    ) -> None:
        self.app = app
        self.portal_factory = portal_factory
        self.raise_server_exceptions = raise_server_exceptions
        self.root_path = root_path
        self.client = client
        self.app_state = app_state
        self._open: set[Stream] = set()

    def close(self) -> None:
        """Ends what a test has left open."""
        for stream in list(self._open):
            stream.abort()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme in ("ws", "wss"):
            raise NotServed("WebSocket")
        with contextlib.ExitStack() as stack:
            call = Call(self.app, self._overrides(request.url), self.live.socket)
            call.start(stack.enter_context(self.portal_factory()))
            stack.push(self._end_of(call))
            answer = self._ask_server(request, call.number)
            stack.callback(answer.close)
            if call.called and not call.began:
                own = answer.read()
                stack.close()
                if self.raise_server_exceptions:
                    raise AssertionError("TestClient did not receive any response.")
                return httpx.Response(answer.status_code, headers=answer.headers.raw, content=own, request=request)
            stream = Stream(answer, call, stack.pop_all(), self._open)
        response = httpx.Response(answer.status_code, headers=answer.headers.raw, stream=stream, request=request)
        response.extensions |= {key: answer.extensions[key] for key in ("http_version", "reason_phrase")}
        if call.trailers:
            response.extensions["http.response.trailers"] = stream.trailers
        if call.debug is not None:
            response.extensions["http.response.debug"] = call.debug
            vars(response).update({key: call.debug[key] for key in ("template", "context") if key in call.debug})
        return response

    def _overrides(self, url: httpx.URL) -> Message:
        return {
            "scheme": url.scheme,
            "client": self.client,
            "server": [url.raw_host.decode("ascii"), {"http": 80, "https": 443}[url.scheme] if url.port is None else url.port],
            "root_path": self.root_path,
            "state": self.app_state.copy(),
        }

    def _ask_server(self, request: httpx.Request, number: str) -> httpx.Response:
        self.live.requests += 1
        return self.wire.handle_request(
            httpx.Request(
                request.method,
                request.url.copy_with(scheme="http", host=self.live.host, port=self.live.port),
                headers=[*request.headers.raw, (frames.CALL.encode(), number.encode())],
                stream=request.stream,
                extensions={"timeout": TIMEOUT},
            )
        )

    def _end_of(self, call: Call) -> Callable[..., None]:
        def end(kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
            if not call.called:  # the server has answered by itself, or nobody
                call.cancel()
            failure = call.failure()
            # A cut connection is what the server makes of an exception: the exception is what the test is told.
            told = error is None or isinstance(error, httpx.TransportError)
            if failure is not None and told and self.raise_server_exceptions:
                raise failure

        return end


class Stream(httpx.SyncByteStream):
    """The body as it comes from the server. At its end the application has ended too."""

    def __init__(self, answer: httpx.Response, call: Call, stack: contextlib.ExitStack, registry: set[Stream]) -> None:
        self.trailers: list[tuple[bytes, bytes]] = []
        self._answer = answer
        self._call = call
        self._stack = stack
        self._registry = registry
        registry.add(self)

    def __iter__(self) -> Iterator[bytes]:
        _ended.trailers = []
        try:
            yield from self._answer.stream
        except httpx.RemoteProtocolError:
            if self._call.failure() is None:
                raise
        self.trailers += _ended.trailers
        self.close()

    def close(self) -> None:
        self._registry.discard(self)
        self._stack.close()

    def abort(self) -> None:
        self._call.cancel()
        self.close()


_ended = threading.local()  # of each thread the response that it has read last


def _keep_trailers(receive: Callable[..., Any]) -> Callable[..., Any]:
    """httpcore reads trailers, and drops them."""

    def receive_and_keep(connection: Any, timeout: float | None = None) -> Any:
        event = receive(connection, timeout)
        if isinstance(event, h11.EndOfMessage):
            _ended.trailers = event.headers
        return event

    return receive_and_keep


HTTP11Connection._receive_event = _keep_trailers(HTTP11Connection._receive_event)
