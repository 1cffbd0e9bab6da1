"""SQLite, in a file: one connection that writes, and some that read meanwhile. Each has a thread of aiosqlite's."""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite

from database import WAIT_SECONDS, Unavailable
from database.queries import Fetch, Queries, Row
from database.schema import SQLITE

PRAGMAS = """
PRAGMA journal_mode = WAL; -- readers and the writer don't wait for each other
PRAGMA synchronous = NORMAL; -- with WAL a power cut loses at most the last posts, never the file
PRAGMA foreign_keys = ON;
"""


class AioSQLite(Queries):
    def __init__(self, path: str, pool: int) -> None:
        self._path, self._size = path, pool
        self._connections: list[aiosqlite.Connection] = []
        self._idle: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        self._writes = asyncio.Lock()

    async def open(self) -> None:
        try:
            # SQLite fails instead of waiting when two processes turn a new file to WAL, so the turn is taken outside.
            with Path(f"{self._path}.lock").open("w") as turn:
                await asyncio.to_thread(fcntl.flock, turn, fcntl.LOCK_EX)
                self._writer = await self._connect()
                await self._writer.executescript(SQLITE)
            for _ in range(self._size - 1):
                self._idle.put_nowait(await self._connect())
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"can't open the database {self._path}: {error}") from error

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()

    async def fetch(self, query: str, *values: Any) -> Sequence[Row]:
        connection = await self._idle.get()
        try:
            return await _fetch(connection, query, *values)
        finally:
            self._idle.put_nowait(connection)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Fetch]:
        async with self._writes:
            try:
                # A plain BEGIN takes the lock at the first write, and fails there if somebody else wrote meanwhile.
                await self._begin()
                yield partial(_fetch, self._writer)
                await self._writer.commit()
            except BaseException:
                # Also when cancelled: the thread goes on to the end of what it was told, so this is behind it in any case.
                await self._writer.rollback()
                raise

    async def _begin(self) -> None:
        try:
            await self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{self._path}: {error}") from error

    async def _connect(self) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(self._path, timeout=WAIT_SECONDS, isolation_level=None)
        self._connections.append(connection)
        connection.row_factory = aiosqlite.Row
        await connection.executescript(PRAGMAS)
        return connection


async def _fetch(connection: aiosqlite.Connection, query: str, *values: Any) -> Sequence[Row]:
    named = {str(number): value for number, value in enumerate(values, 1)}  # to SQLite `$1` is a name
    return [dict(row) for row in await connection.execute_fetchall(query, named)]
