"""Requests to elsewhere: what httpx's and requests' transports have in common.

The server sends them, for a worker's application and for the programs of ``awaitd run``. Any other process has a sidecar, the
same program started when it is first needed, which ends with it. A process has one session with it, and in that a link for each
event loop that asks, and one for its threads (docs/reference/wire.md, "HTTP client").
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import socket
import subprocess
import threading
import weakref
from collections import deque
from typing import Any, Protocol, TypeAlias

from . import _control
from ._control import Closed, Control
from ._wire import Calls

#: Bytes of a response that may wait here, for each.
WINDOW = 768 << 10

#: RESET's codes begin here, as `internal/wire/call.go` has it; these are the kinds of `internal/client/errors.go`.
CODES = 16
KINDS = (
    "ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout", "ConnectError", "ReadError", "WriteError", "ProxyError",
    "UnsupportedProtocol", "LocalProtocolError", "RemoteProtocolError", "Cancelled",
)  # fmt: skip

VERSIONS = {10: b"HTTP/1.0", 11: b"HTTP/1.1", 20: b"HTTP/2", 30: b"HTTP/3"}

Description: TypeAlias = dict[str, Any]
Timeouts: TypeAlias = "tuple[float | None, float | None, float | None, float | None]"


class Failure(Exception):
    """A request has failed; ``kind`` is the name of httpx's exception."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Waiter(Protocol):
    """What is told that there is news: a future, or a thread's gate."""

    def done(self) -> bool: ...
    def set_result(self, result: None, /) -> None: ...


class Session:
    """This process's talk with the server or the sidecar."""

    def __init__(self, control: Control, process: subprocess.Popen[bytes] | None) -> None:
        self._control = control
        self._process = process
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._over = False

    def fileno(self) -> int:
        return self._control.fileno()

    @property
    def is_over(self) -> bool:
        """Has the other end gone? Then everything here is of no more use."""
        self._over = self._over or self._control.is_closed()
        return self._over

    def transport(self, description: Description) -> int:
        """The number of a transport. Raises ValueError for settings that can't be used."""
        key = json.dumps(description, sort_keys=True)
        number = self._numbers.get(key)
        if number is None:
            answer, _ = self._ask("transport", transport=description)
            number = self._numbers[key] = answer["number"]
        return number

    def link(self) -> tuple[int, Calls]:
        """Make a link."""
        answer, (doorbell, memory, server) = self._ask("link", descriptors=3)
        try:
            return answer["number"], Calls(memory, answer["ring_size"], doorbell, server)
        finally:
            os.close(memory)

    def unlink(self, number: int) -> None:
        with contextlib.suppress(OSError):
            self._control.send("unlink", link=number)

    def _ask(self, type: str, /, descriptors: int = 0, **content: Any) -> tuple[dict[str, Any], list[int]]:
        with self._lock:
            try:
                os.set_blocking(self.fileno(), True)  # uvloop has made what it watches non-blocking
                self._control.send(type, **content)
                answer = self._control.receive()
            except (Closed, OSError) as error:
                self._over = True
                raise Failure("ConnectError", "the process that sends requests has ended") from error
            taken = self._control.take_descriptors()
        if answer.get("error"):
            raise ValueError(answer["error"])
        if len(taken) != descriptors:
            raise Failure("ConnectError", "the process that sends requests gave no link: too many open files?")
        return answer, taken

    def close(self) -> None:
        """End it; the sidecar ends by that."""
        self._over = True
        with contextlib.suppress(OSError):
            os.close(self._control.detach())
        if self._process is not None:
            self._process.wait()

    def forget(self) -> None:
        """For a child that was forked: this is its parent's."""
        self._over = True
        self._process = None
        with contextlib.suppress(OSError):
            os.close(self._control.detach())


class Exchange:
    """A request under way: what has come of its response."""

    __slots__ = (
        "chunks", "coded", "credit", "ended", "failure", "headers", "id", "link", "owed", "phrase", "status", "trailers",
        "version", "waiter",
    )  # fmt: skip

    def __init__(self, link: Link) -> None:
        self.link = link
        self.id = 0
        self.status = 0
        self.credit = 0
        self.owed = 0
        self.ended = False
        self.failure: Failure | None = None
        self.waiter: Waiter | None = None

    def head(
        self,
        status: int,
        version: int,
        phrase: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        ended: bool,
        coded: bool,
    ) -> None:
        self.status = status
        self.version = version
        self.phrase = phrase
        self.headers = headers
        self.ended = ended
        self.coded = coded
        self.chunks = deque((body,)) if body else deque()
        self._wake()

    def data(self, body: bytes, ended: bool) -> None:
        if body:
            self.chunks.append(body)
        self.ended = ended
        self._wake()

    def end(self, trailers: list[tuple[bytes, bytes]]) -> None:
        self.trailers = trailers
        self.ended = True
        self._wake()

    def window(self, n: int) -> None:
        self.credit += n
        self._wake()

    def failed(self, code: int, text: bytes) -> None:
        known = CODES < code <= CODES + len(KINDS)
        self.failure = Failure(KINDS[code - CODES - 1] if known else "ReadError", text.decode("utf-8", "replace"))
        self.ended = True
        self._wake()

    def taken(self, n: int) -> None:
        """The caller has taken n bytes of the body: as many may come again."""
        self.owed += n
        if self.owed >= WINDOW // 2 and not self.ended:
            self.link.calls.window(self.id, self.owed)
            self.owed = 0

    def cancel(self) -> None:
        """Nothing more of it is wanted."""
        if not self.ended:
            self.ended = True
            self.failure = self.failure or Failure("ReadError", "it was closed")
            self.link.calls.reset(self.id)

    def _wake(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Link:
    """A link, with those who wait for room in it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.number, self.calls = session.link()
        self._blocked: list[Waiter] = []

    def turn(self) -> bool:
        """Take what has come; True if there is more."""
        more: bool = self.calls.turn()
        if self._blocked:
            blocked, self._blocked = self._blocked, []
            for waiter in blocked:
                if not waiter.done():
                    waiter.set_result(None)
        return more

    def block(self, waiter: Waiter) -> None:
        """Have it told when there may be room."""
        self._blocked.append(waiter)

    def fail(self) -> None:
        """The other end has gone."""
        handlers = self.calls.handlers()
        self.calls.close()
        for exchange in handlers:
            exchange.failed(0, b"the process that sends requests has ended")
        self.turn()

    def close(self) -> None:
        self.calls.close()
        self.session.unlink(self.number)


class LoopLink(Link):
    """The link of an event loop. It has no reference to the loop, whose registry it is in."""

    publishing = False

    def publish_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Show the server what was opened, with what others open in this turn of the loop: each doorbell is a system call."""
        if not self.publishing:
            self.publishing = True
            loop.call_soon(self._publish)

    def _publish(self) -> None:
        self.publishing = False
        self.calls.publish()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_reader(self.calls.doorbell, self._on_doorbell)
        with contextlib.suppress(RuntimeError, OSError):  # uvloop: a descriptor that a transport has
            loop.add_reader(self.session.fileno(), self._on_session)

    def _on_doorbell(self) -> None:
        if self.turn():
            asyncio.get_running_loop().call_soon(self._on_doorbell)

    def _on_session(self) -> None:
        if self.session.is_over:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.session.fileno())
            loop.remove_reader(self.calls.doorbell)
            self.fail()

    async def news(self, exchange: Exchange) -> None:
        """Wait until something has come for an exchange."""
        exchange.waiter = waiter = asyncio.get_running_loop().create_future()
        await waiter

    async def room(self) -> None:
        """Wait until there may be room in the ring."""
        waiter = asyncio.get_running_loop().create_future()
        self.block(waiter)
        await waiter


class Gate:
    """What a thread waits at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._done = False

    def done(self) -> bool:
        return self._done

    def set_result(self, _: None = None, /) -> None:
        self._done = True
        self.knock()

    def knock(self) -> None:
        """Have its thread look."""
        with contextlib.suppress(RuntimeError):  # it is on its way already
            self._lock.release()

    def wait(self) -> None:
        self._lock.acquire()


class ThreadLink(Link):
    """The link of all threads: one of those that wait reads it for all."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._leader = threading.Lock()
        self._gates: set[Gate] = set()

    def news(self, exchange: Exchange) -> None:
        """Wait until something has come for an exchange."""
        gate = Gate()
        exchange.waiter = gate
        self._wait(gate)

    def room(self) -> None:
        """Wait until there may be room in the ring."""
        gate = Gate()
        self.block(gate)
        self._wait(gate)

    def _wait(self, gate: Gate) -> None:
        self._gates.add(gate)
        try:
            while not gate.done():
                if not self._leader.acquire(blocking=False):
                    gate.wait()
                    continue
                try:
                    self._lead(gate)
                finally:
                    self._leader.release()
        finally:
            self._gates.discard(gate)
            for other in list(self._gates):
                other.knock()  # one must lead; whoever comes too late waits again
                break

    def _lead(self, gate: Gate) -> None:
        while not gate.done():
            if not self.turn() and not gate.done() and self.calls.wait(self.session.fileno(), -1.0) and self.session.is_over:
                self.fail()


class _Process:
    """What this process has: a session, and links in it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.session: Session | None = None
        self.threads: ThreadLink | None = None
        self.recent: tuple[weakref.ref[asyncio.AbstractEventLoop], LoopLink] | None = None  # the loop that asked last
        self.loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopLink] = weakref.WeakKeyDictionary()


_process = _Process()


def _session() -> Session:
    """The session, begun if need be. The lock is held."""
    if _process.session is not None and not _process.session.is_over:
        return _process.session
    given, _control.client = _control.client, None
    if given is not None and given[0] == os.getpid():
        _process.session = Session(Control(given[1]), None)
    else:
        _process.session = _start()
    return _process.session


def _start() -> Session:
    """Start a sidecar."""
    from ._find import find_binary

    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [find_binary(), "sidecar"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={**os.environ, "AWAITD_CLIENT_FD": str(theirs.fileno())},
            start_new_session=True,
        )
    session = Session(Control(ours.detach()), process)
    atexit.register(session.close)
    return session


def loop_link(loop: asyncio.AbstractEventLoop) -> LoopLink:
    """The link of an event loop, which runs."""
    recent = _process.recent
    if recent is not None and recent[0]() is loop and not recent[1].session._over:
        return recent[1]
    link = _process.loops.get(loop)
    if link is not None and not link.session._over:
        _process.recent = weakref.ref(loop), link
        return link
    with _process.lock:
        link = LoopLink(_session())
        _process.loops[loop] = link
        weakref.finalize(loop, link.close).atexit = False
    link.watch(loop)
    return link


def thread_link() -> ThreadLink:
    """The link of all threads."""
    link = _process.threads
    if link is None or link.session.is_over:
        with _process.lock:
            link = _process.threads
            if link is None or link.session.is_over:
                link = _process.threads = ThreadLink(_session())
    return link


def _forget() -> None:
    """After a fork: what the parent has is the parent's, and its rings are not even mapped here."""
    global _process
    before, _process = _process, _Process()
    links: list[Link] = [*before.loops.values()]
    if before.threads is not None:
        links.append(before.threads)
    for link in links:
        link.calls.close()
    if before.session is not None:
        before.session.forget()


os.register_at_fork(after_in_child=_forget)


class Numbers:
    """The number of one description in each session there has been."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._session: Session | None = None
        self._number = 0

    def of(self, session: Session) -> int:
        if self._session is not session:
            self._number = session.transport(self._description)
            self._session = session
        return self._number
