"""What is new in a table, as it comes, for every open tab."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from channel import LOOK_EVERY, Channel
from database import Table, Unavailable

BATCH = 100  # rows read in one go

log = logging.getLogger("board.live")


class HasId(Protocol):
    id: int


Row = TypeVar("Row", bound=HasId)


class Feed(Generic[Row]):
    """Tells this process's readers about every new row of a table, whichever process it was posted to.

    Several workers may serve the board and a post reaches only one of them, so the database is where they meet: one task
    per process asks it for rows after the last one it knows (a look-up in the primary key), at once when this process itself
    posted or the channel says that another did, and else as often as the channel advises. A reader keeps only the id it saw
    last, so there is no queue that a slow one could fill: it is served from the newest batch, or from the database if it fell
    behind that.
    """

    def __init__(
        self,
        table: Table,
        newest: Callable[[Table], Awaitable[int]],
        after: Callable[[int, int], Awaitable[list[Row]]],
        channel: Channel,
    ) -> None:
        self._table, self._newest, self._read_after, self._channel = table, newest, after, channel
        self._since = 0  # the batch holds every row after this id …
        self._batch: list[Row] = []
        self._known = 0  # … up to this one
        self._arrived = asyncio.Event()  # set, and replaced by a new one, with each batch
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        channel.listen(table, self._look.set)

    async def start(self) -> None:
        self._since = self._known = await self._newest(self._table)
        self._task = asyncio.create_task(self._run(), name="feed")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def tell(self) -> None:
        """Something was posted here: this process and the others have a look at the database now."""
        await self._channel.tell(self._table)

    async def rows(self, last: int) -> AsyncIterator[Row]:
        """All rows after an id, for ever."""
        while True:
            arrived = self._arrived  # taken before reading, or what comes in between would be noticed one batch late
            try:
                found = await self._after(last)
            except Unavailable:  # who has been following goes on when the database is back
                await asyncio.sleep(LOOK_EVERY)
                continue
            for row in found:
                yield row
                last = row.id
            if last >= self._known:
                await arrived.wait()

    async def _after(self, last: int) -> list[Row]:
        if last < self._since:
            return await self._read_after(last, BATCH)
        return [row for row in self._batch if row.id > last]

    async def _run(self) -> None:
        blind = False  # and said so
        while True:
            try:
                await self._read()
                blind = False
            except Unavailable as error:  # a database that restarts must not end the live view
                if not blind:
                    log.warning("can't look for what is new: %s", error)
                blind = True
            with contextlib.suppress(TimeoutError):
                # Not wait_for: on Python 3.11 that loses a cancellation which arrives together with the event.
                async with asyncio.timeout(LOOK_EVERY if blind else self._channel.look_every):
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
