"""Figures from anywhere, by datagram: `printf 'kitchen.temperature:21.5|g' | nc -u -w0 127.0.0.1 8026`."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

from database import Database, Unavailable
from schemas import Figure

EVERY = 1.0  # seconds between two looks at the database
LINE = re.compile(rb"([A-Za-z0-9_.-]{1,60}):([+-]?[0-9]{1,15}(?:\.[0-9]{1,9})?)\|(c|g|ms)(?:[|@].*)?")
MOST_WAITING = 1000  # figures that came since the last look

log = logging.getLogger("board.meter")


class Meter:
    """This process's part. A figure is what statsd calls a counter, a gauge or a timing, of which the last one is kept.

    The database is where the processes meet, as for messages and chat: what came is added to it once a second, and what is
    there is shown.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, tuple[float, bool]] = {}  # by name: a value, and whether it is added to the one there
        self._shown: list[Figure] = []
        self._changed = asyncio.Event()  # set, and replaced by a new one, whenever what is shown changes
        self._readers = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="meter")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
            await self._look()  # at what came meanwhile

    def take(self, datagram: bytes) -> None:
        """Keeps the figures of a datagram, a line each, until the next look."""
        for line in datagram.splitlines():
            if found := LINE.fullmatch(line.strip()):
                signed = found[2][:1] in b"+-"
                self._keep(found[1].decode(), float(found[2]), found[3] == b"c" or (found[3] == b"g" and signed))
            else:
                log.debug("no figure: %r", line[:80])

    def _keep(self, name: str, value: float, adds: bool) -> None:
        before, added = self._waiting.get(name, (0.0, True))
        if name in self._waiting or len(self._waiting) < MOST_WAITING:
            self._waiting[name] = (before + value, added) if adds else (value, False)

    async def figures(self) -> AsyncIterator[list[Figure]]:
        """What is there, again whenever it has changed, for ever."""
        self._readers += 1
        try:
            while True:
                changed = self._changed
                yield self._shown
                await changed.wait()
        finally:
            self._readers -= 1

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._look()

    async def _look(self) -> None:
        waiting, self._waiting = self._waiting, {}
        try:
            if waiting:
                await self._database.record([Figure(name=n, value=v) for n, (v, adds) in waiting.items() if not adds], False)
                await self._database.record([Figure(name=n, value=v) for n, (v, adds) in waiting.items() if adds], True)
            if waiting or self._readers:
                self._show(await self._database.figures())
        except Unavailable as error:
            log.warning("figures are lost: %s", error)

    def _show(self, figures: list[Figure]) -> None:
        if figures != self._shown:
            self._shown = figures
            self._changed.set()
            self._changed = asyncio.Event()


class Datagrams(asyncio.DatagramProtocol):
    """Gives what arrives to the meter of the application, while that runs."""

    def __init__(self, door: "Door") -> None:
        self._door = door

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._door.meter:
            self._door.meter.take(data)


class Door:
    """Makes a protocol, as loop.create_datagram_endpoint() wants it."""

    def __init__(self) -> None:
        self.meter: Meter | None = None  # while the application runs

    def __call__(self) -> asyncio.DatagramProtocol:
        return Datagrams(self)
