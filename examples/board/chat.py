"""A chat beside the board: what one says, all who have the page open hear at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from awaitd import broadcast
from fastapi import WebSocket

from channel import Channel
from database import Database
from live import Feed
from schemas import LineIn, LineOut

HISTORY = 50  # lines that who comes is shown
KEPT = 1000  # lines in the database, about
TOO_SLOW = 1013  # the close code "try again later": the page comes back, and says what it has seen


class Chat:
    """This process's part of it. The database is where the processes meet, by the same means as for the board's messages."""

    def __init__(self, database: Database, channel: Channel) -> None:
        self._database = database
        self._feed = Feed("line", database.newest, database.lines_after, channel)
        self._room: set[WebSocket] = set()
        self._told = 0  # the line that the room was told last
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._told = await self._database.newest("line")
        await self._feed.start()
        self._spawn(self._tell(self._told))

    async def stop(self) -> None:
        await self._feed.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def say(self, line: LineIn) -> None:
        await self._database.add_line(line, KEPT)
        await self._feed.tell()

    async def join(self, connection: WebSocket, last: int) -> None:
        """Shows the newest lines after an id, and has the connection told of what follows."""
        last = max(last, await self._database.history_start(HISTORY))
        while last < (told := self._told):  # behind the last look there is no await: nothing is missed, nor told twice
            lines = [line for line in await self._database.lines_after(last, HISTORY) if line.id <= told]
            for line in lines:
                await connection.send_text(line.model_dump_json())
            last = lines[-1].id if lines else told
        self._room.add(connection)

    async def lines(self) -> AsyncIterator[LineOut]:
        """Whatever anybody says from now on, for ever."""
        async for line in self._feed.rows(self._told):
            yield line

    def leave(self, connection: WebSocket) -> None:
        self._room.discard(connection)

    async def _tell(self, last: int) -> None:
        """Tells the room each new line. Who does not keep up is sent away and comes again: no line is lost, nobody waits."""
        async for line in self._feed.rows(last):
            self._told = line.id
            for connection in broadcast(self._room, line.model_dump_json()):
                self._room.discard(connection)
                self._spawn(_send_away(connection))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the event loop itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)


async def _send_away(connection: WebSocket) -> None:
    with contextlib.suppress(OSError, RuntimeError):  # it has left meanwhile, or was closed
        await connection.close(TOO_SLOW, "you do not keep up")
