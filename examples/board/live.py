"""What is new in a table, as it comes, for every open tab."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from sqlalchemy.exc import SQLAlchemyError

LOOK_EVERY = 0.5  # seconds; how late what was posted through another worker may be seen
BATCH = 100  # rows read in one go

log = logging.getLogger("board.live")


class HasId(Protocol):
    id: int


Row = TypeVar("Row", bound=HasId)


class Feed(Generic[Row]):
    """Tells this process's readers about every new row of a table, whichever process it was posted to.

    Several workers may serve the board and a post reaches only one of them, so the database is where they meet: one task
    per process asks it for rows after the last one it knows, twice a second (a look-up in the primary key) and at
    once when this process itself posted. It works the same on SQLite and PostgreSQL, with one worker or twenty, and has
    nothing to reconnect. A reader keeps only the id it saw last, so there is no queue that a slow one could fill: it is
    served from the newest batch, or from the database if it fell behind that.
    """

    def __init__(self, newest_id: Callable[[], Awaitable[int]], after: Callable[[int, int], Awaitable[list[Row]]]) -> None:
        self._newest_id = newest_id
        self._read_after = after
        self._since = 0  # the batch holds every row after this id …
        self._batch: list[Row] = []
        self._known = 0  # … up to this one
        self._arrived = asyncio.Event()  # set, and replaced by a new one, with each batch
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._since = self._known = await self._newest_id()
        self._task = asyncio.create_task(self._run(), name="feed")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def look(self) -> None:
        """Asks for a look at the database now: something was posted here."""
        self._look.set()

    async def rows(self, last: int) -> AsyncIterator[Row]:
        """All rows after an id, for ever."""
        while True:
            arrived = self._arrived  # taken before reading, or what comes in between would be noticed one batch late
            for row in await self._after(last):
                yield row
                last = row.id
            if last >= self._known:
                await arrived.wait()

    async def _after(self, last: int) -> list[Row]:
        if last < self._since:
            return await self._read_after(last, BATCH)
        return [row for row in self._batch if row.id > last]

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
            except SQLAlchemyError as error:  # a database that restarts must not end the live view
                log.warning("can't look for what is new: %s", error)
            with contextlib.suppress(TimeoutError):
                # Not wait_for: on Python 3.11 that loses a cancellation which arrives together with the event.
                async with asyncio.timeout(LOOK_EVERY):
                    await self._look.wait()

    async def _read(self) -> None:
        full = True
        while full:
            self._look.clear()
            batch = await self._read_after(self._known, BATCH)
            full = len(batch) == BATCH
            if batch:
                self._since, self._batch, self._known = self._known, batch, batch[-1].id
                self._arrived.set()
                self._arrived = asyncio.Event()
