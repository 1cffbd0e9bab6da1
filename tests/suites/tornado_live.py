"""The server under test in the place of the HTTPServer that Tornado's AsyncHTTPTestCase starts.

The application stays in the test, on the test's event loop. The adapter of `--interface tornado` runs it there, the same module
as in a worker, with the messages that the worker's `bridge` passes on.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from contextlib import suppress
from typing import Any

from awaitd import _tornado
from tornado.ioloop import IOLoop
from tornado.routing import AnyMatches, Rule, RuleRouter
from tornado.testing import AsyncHTTPTestCase

import frames
from live import Live, peer

Message = dict[str, Any]


class Call:
    """One exchange, seen from its application."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._keys = itertools.count()
        self._waiting: dict[int, asyncio.Future[tuple[Any, ...]]] = {}
        self._sends: set[int] = set()
        self._given_up: list[asyncio.Future[tuple[Any, ...]]] = []  # by a receive() that was cancelled

    async def run(self, application: Any) -> None:
        hearing = None
        failure: str | None = "cancelled"
        try:
            _, scope = await frames.read(self._reader.readexactly)
            hearing = asyncio.create_task(self._hear())
            await application(scope, self.receive, self.send)
            failure = None
        except Exception as error:
            failure = repr(error)
        finally:
            if hearing:
                if failure is None and self._waiting:  # what was sent and not waited for
                    await asyncio.wait(self._waiting.values(), timeout=1)
                hearing.cancel()
                self._hang_up()
            self._tell("returned", failure)
            self._writer.close()

    async def receive(self) -> Message:
        while self._given_up:
            answer = await self._given_up.pop(0)
            if answer[0] == "gave":
                return answer[1]
        key, answering = self._ask("receive")
        try:
            return self._outcome(await asyncio.shield(answering))
        except asyncio.CancelledError:
            self._tell("cancel", key)
            self._given_up.append(answering)
            raise

    async def send(self, message: Message) -> None:
        key, answering = self._ask("send", message)
        self._sends.add(key)
        self._outcome(await answering)

    def _outcome(self, answer: tuple[Any, ...]) -> Any:
        if answer[0] == "raised":
            frames.raise_as(*answer[1])
        return answer[1]

    def _ask(self, name: str, *arguments: Any) -> tuple[int, asyncio.Future[tuple[Any, ...]]]:
        key = next(self._keys)
        self._waiting[key] = asyncio.get_running_loop().create_future()
        self._tell("call", key, name, *arguments)
        return key, self._waiting[key]

    async def _hear(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, key, *value = await frames.read(self._reader.readexactly)
                answering = self._waiting.pop(key)
                if not answering.done():
                    answering.set_result((kind, *value))
        self._hang_up()

    def _hang_up(self) -> None:
        """Answers what nobody will answer any more. What was sent has been taken, as it is in a worker at once."""
        for key, answering in self._waiting.items():
            if not answering.done():
                gone = "raised", ("ConnectionResetError", "the server's worker is gone")
                answering.set_result(("gave", None) if key in self._sends else gone)

    def _tell(self, *message: Any) -> None:
        self._writer.write(frames.encode(*message))


class Served:
    """What AsyncHTTPTestCase asks of its `http_server`."""

    # Tornado's client doesn't see `client_no_context_takeover` in what is agreed on.
    live = Live("asgi", *([] if peer() else ["--ws-ping-interval", "0", "--ws-context-takeover"]))
    requests = 0

    def __init__(self, application: Any) -> None:
        if not isinstance(application, _tornado.httputil.HTTPServerConnectionDelegate):
            application = RuleRouter([Rule(AnyMatches(), application)])
        self._application = _tornado.Adapter(application)
        self._running: set[asyncio.Task[None]] = set()
        self._loop = IOLoop.current()

    def add_sockets(self, sockets: list[Any]) -> None:
        for socket in sockets:
            socket.close()
        self.live.server.accepts()
        self._server = self._loop.run_sync(lambda: asyncio.start_unix_server(self._handle, self.live.socket))

    def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        type(self).requests += 1
        task = asyncio.get_running_loop().create_task(Call(reader, writer).run(self._application))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def stop(self) -> None:
        self._server.close()
        with suppress(FileNotFoundError):
            os.unlink(self.live.socket)

    async def close_all_connections(self) -> None:
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)


def install() -> None:
    own = AsyncHTTPTestCase.get_http_server

    def get_http_server(case: AsyncHTTPTestCase) -> Any:
        # What is an option of HTTPServer is none of the application's.
        plain = type(case).get_http_server is get_http_server and not case.get_httpserver_options()
        return Served(case._app) if plain else own(case)

    def get_http_port(case: AsyncHTTPTestCase) -> int:
        return case.http_server.live.port if isinstance(case.http_server, Served) else case._AsyncHTTPTestCase__port

    AsyncHTTPTestCase.get_http_server = get_http_server
    AsyncHTTPTestCase.get_http_port = get_http_port
