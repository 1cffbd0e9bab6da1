"""The worker's side of the wire (python/awaitd/_wire/*.c)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol, TypeVar

#: Of the wire, as docs/reference/wire.md has it.
VERSION: int

def watchdog(fd: int, /) -> None:
    """Kill the process group when the other end of the socket ``fd`` closes; by a thread that needs no GIL."""

def pass_descriptors(control: int, links: int, /) -> None:
    """Pass descriptors over the control socket, for ``links`` links of all worker loops together."""

class _HasScope(Protocol):
    @property
    def scope(self) -> Any: ...

_Connection = TypeVar("_Connection", bound=dict[str, Any] | MutableMapping[str, Any] | _HasScope)

def broadcast(connections: Iterable[_Connection], message: str | bytes | bytearray | memoryview, /) -> list[_Connection]:
    """Send a message to many WebSockets of this worker at once, without waiting for anybody.

    ``connections``: ASGI scopes of WebSockets, or objects that have one as their attribute ``scope``, such as Starlette's
    ``WebSocket`` and Channels' consumers. Who is not accepted, or gone, is passed over. Who has not yet been sent what was sent
    before is not sent this; a list of these connections is returned.
    """

class AsyncLoop:
    """A worker loop on an event loop: takes requests from its links and runs an ASGI application in eager tasks."""

    def __init__(
        self,
        application: Callable[..., Awaitable[None]],
        event_loop: asyncio.AbstractEventLoop,
        doorbell: int,
        links: list[tuple[int, int, int]],
        root_path: str,
        state: dict[str, Any] | None,
        report: Callable[[int, BaseException | None, str, int], None],
        debug: Callable[[int, dict[str, Any]], None] | None,
        message_cost: int,
        targets: list[tuple[Callable[..., Any], bool]],
    ) -> None:
        """``links``: memfd, ring size, doorbell towards the server. ``state``: the lifespan's, copied for each request.
        ``message_cost``: bytes of credit that a WebSocket message towards the worker takes at least.

        ``targets``: what takes streams for another number than 0, and whether it is called with a StreamReader and a
        StreamWriter, else as ASGI.

        ``debug`` hears what applications say by ``http.response.debug``; without it they are not offered that extension.
        """
    in_flight: int
    started: int
    def turn(self) -> None: ...
    def on_doorbell(self) -> None: ...
    def flush(self) -> None: ...
    def when_idle(self, callback: Callable[[], None], /) -> None: ...
    def tasks(self) -> list[asyncio.Task[Any]]: ...
    def close(self) -> None: ...

class ThreadLoop:
    """A worker loop of threads: each call of ``serve`` runs requests of a WSGI application on its thread."""

    def __init__(
        self,
        application: Callable[..., Any],
        doorbell: int,
        links: list[tuple[int, int, int]],
        root_path: str,
        environ: dict[str, Any],
        report: Callable[[int, BaseException | None, str], None],
    ) -> None:
        """``environ``: what is the same for every request."""
    in_flight: int
    def serve(self, fd: int = -1, on_readable: Callable[[], None] | None = None, /) -> None: ...
    def stop(self) -> None: ...
    def when_idle(self, callback: Callable[[], None], /) -> None: ...

class Calls:
    doorbell: int
    def __init__(self, memfd: int, ring_size: int, doorbell: int, server_doorbell: int, /) -> None: ...
    def open(
        self,
        handler: object,
        transport: int,
        secure: bool,
        method: bytes,
        authority: bytes,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        timeouts: tuple[float | None, float | None, float | None, float | None],
        body: bytes,
        end: bool,
        credit: int,
        /,
    ) -> tuple[int, int] | None: ...
    def data(self, id: int, body: bytes, offset: int, most: int, end: bool, /) -> int: ...
    def publish(self) -> None: ...
    def window(self, id: int, n: int, /) -> None: ...
    def reset(self, id: int, /) -> None: ...
    def turn(self) -> bool: ...
    def wait(self, other: int, seconds: float, /) -> bool: ...
    def handlers(self) -> list[Any]: ...
    def close(self) -> None: ...
