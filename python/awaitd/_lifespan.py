"""The ASGI lifespan protocol: startup before the first request, shutdown after the last, state for all of them.

Modes: ``on`` demands it, ``off`` leaves it out, ``auto`` tries and goes on silently with an application that doesn't know it.

What raises before it has received ``lifespan.startup`` doesn't know the lifespan, and so does what answers with a message of
another protocol. What raises after it was about to start: that is an error of its own, and is said. ``sys.exit()`` is meant as
it is on the command line: the application does not start.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ._errors import StartupError
from ._importer import format_exception
from ._interface import ASGI3, Message
from ._report import debug, warn


class UnknownMessage(ValueError):
    """The application sent what is no lifespan message: it takes the lifespan for something else."""


def _is_unknown(error: BaseException) -> bool:
    """True for UnknownMessage, also out of a task group."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_unknown, error.exceptions))
    return isinstance(error, UnknownMessage)


def _cause(error: BaseException | None) -> str:
    if error is None:
        return "it returned without lifespan.startup.complete"
    if _is_unknown(error):
        return "it sent what is no lifespan message"
    return f"it raised {type(error).__name__} in its lifespan"


def _either(*futures: asyncio.Future[Any]) -> tuple[asyncio.Future[Any], ...]:
    return futures


class Lifespan:
    """One lifespan of an application, on one event loop."""

    def __init__(self, application: ASGI3, mode: str, target: str, verbose: bool) -> None:
        self.state: dict[str, Any] = {}
        self.supported = False
        self._application = application
        self._mode = mode
        self._target = target
        self._verbose = verbose
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._started: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._startup_received = False
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None  # what ended the task; kept here, for asyncio would say it once more

    async def startup(self) -> None:
        """Run the startup. Raises ``StartupError`` if the application refuses to start."""
        if self._mode == "off":
            return
        self._events.put_nowait({"type": "lifespan.startup"})
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.create_task(self._run(scope), name="lifespan")
        await asyncio.wait(_either(self._started, self._task), return_when=asyncio.FIRST_COMPLETED)
        if not self._started.done():
            self._unsupported(self._error)
            return
        if (message := self._started.result()) is not None:
            raise self._failed(message)
        self.supported = True

    async def shutdown(self) -> None:
        """Run the shutdown, once; what goes wrong is reported."""
        if self._task is None or not self.supported:
            return
        if not self._task.done():
            self._events.put_nowait({"type": "lifespan.shutdown"})
            await asyncio.wait(_either(self._stopped, self._task), return_when=asyncio.FIRST_COMPLETED)
            await self._end()

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._application(scope, self._receive, self._send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._error = error
            if self._started.done() and self._started.result() is None:
                warn("the application raised in its lifespan", error)

    async def _end(self) -> None:
        """Let the application return after its last message; cancel it if it goes on."""
        assert self._task is not None
        done, _ = await asyncio.wait([self._task], timeout=1)
        if not done:
            self._task.cancel()

    async def _receive(self) -> Message:
        event = await self._events.get()
        self._startup_received = True
        return event

    async def _send(self, message: Message) -> None:
        kind = message.get("type")
        if kind == "lifespan.startup.complete" and not self._started.done():
            self._started.set_result(None)
        elif kind == "lifespan.startup.failed" and not self._started.done():
            self._started.set_result(str(message.get("message", "")))
        elif kind == "lifespan.shutdown.complete" and not self._stopped.done():
            self._stopped.set_result(None)
        elif kind == "lifespan.shutdown.failed" and not self._stopped.done():
            self._stopped.set_result(None)
            warn(f"the application's lifespan shutdown failed: {message.get('message', '')}")
        else:
            raise UnknownMessage(f"unexpected ASGI message {kind!r} in the lifespan")

    def _unsupported(self, error: BaseException | None) -> None:
        cause = _cause(error)
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            raise StartupError("lifespan", f"can't start `{self._target}`: {cause}: {error}", "", format_exception(error))
        if self._mode == "on":
            trace = format_exception(error) if error else ""
            raise StartupError(
                "lifespan", f"can't start `{self._target}`: {cause}", "`--lifespan auto` goes on without it", trace
            )
        if error and self._startup_received and not _is_unknown(error):
            warn("the application raised in lifespan startup; going on without lifespan (`--lifespan on` stops here)", error)
        elif self._verbose:
            debug(f"going on without lifespan for `{self._target}`: {cause}")

    def _failed(self, message: str) -> StartupError:
        """Some frameworks send a whole traceback as their message."""
        lines = message.strip().splitlines()
        if len(lines) > 1:
            return StartupError("lifespan", f"can't start `{self._target}`: lifespan startup failed: {lines[-1]}", "", message)
        cause = f": {lines[0]}" if lines else ""
        return StartupError("lifespan", f"can't start `{self._target}`: lifespan startup failed{cause}")
