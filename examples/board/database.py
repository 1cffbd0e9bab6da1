"""One engine per event loop, and the one rule about writing."""

import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker, create_async_engine

from models import Base

SQLITE_BUSY_SECONDS = 15  # how long a writer waits for its turn before "database is locked"
WRITE_LOCK = 0x626F617264  # any number nobody else in this PostgreSQL database uses: "board"


class Database:
    def __init__(self, url: str) -> None:
        self._sqlite = url.startswith("sqlite")
        self._engine = create_async_engine(url, connect_args={"timeout": SQLITE_BUSY_SECONDS} if self._sqlite else {})
        self.session = async_sessionmaker(self._engine, expire_on_commit=False)
        if self._sqlite:
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)

    async def create_tables(self, lock_file: Path) -> None:
        """Several workers start at once; the first one to get the lock makes the tables, the others find them."""
        # SQLite fails instead of waiting when two processes turn a new file to WAL, so there the turn is taken outside.
        with lock_file.open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            await self._create_tables()

    async def _create_tables(self) -> None:
        async with self._engine.begin() as connection:
            await self._lock(connection)
            await connection.run_sync(Base.metadata.create_all)

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A transaction that is the only writer until its end.

        A live reader asks for what is newer than the last id it saw. That is right only if ids become visible in their
        own order, and two PostgreSQL transactions side by side may well commit 8 before 7: the reader would never see 7.
        """
        async with self.session.begin() as session:
            await self._lock(await session.connection())
            yield session

    async def _lock(self, connection: AsyncConnection) -> None:
        if self._sqlite:
            # A plain BEGIN takes the lock at the first write, and fails there if somebody else wrote meanwhile.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITE_LOCK})


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")  # readers and the writer don't wait for each other
    cursor.execute("PRAGMA synchronous = NORMAL")  # with WAL a power cut loses at most the last posts, never the file
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
