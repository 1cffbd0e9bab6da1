"""PostgreSQL by asyncpg: a pool, prepared statements, and SQL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from database import WAIT_SECONDS, Unavailable, shown
from database.queries import Fetch, Queries, Row
from database.schema import POSTGRESQL, WRITE_LOCK

CLOSE_SECONDS = 5  # for connections that are still busy; then they are cut

# The server is gone, going, or full. OSError is what connecting ends with, and TimeoutError, which is one, what waiting does.
LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # asked just when the server's word that it goes has come
)


class AsyncPG(Queries):
    def __init__(self, url: str, pool: int) -> None:
        self._url, self._size = url, pool
        self._pool: asyncpg.Pool[Any] | None = None

    async def open(self) -> None:
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=self._size,
                timeout=WAIT_SECONDS,
                command_timeout=30,
                server_settings={"application_name": "board"},
            )
        except (*LOST, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable(f"can't connect to the database {shown(self._url)}: {error}") from error
        async with self.writing() as fetch:
            for statement in POSTGRESQL.split(";"):
                await fetch(statement)

    async def close(self) -> None:
        if not self._pool:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def fetch(self, query: str, *values: Any) -> Sequence[Row]:
        async with self._connection() as connection:
            return await connection.fetch(query, *values)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Fetch]:
        async with self._connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", WRITE_LOCK)
            yield connection.fetch

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """One of the pool's; it goes back however this ends, a cancellation included."""
        assert self._pool
        try:
            async with self._pool.acquire(timeout=WAIT_SECONDS) as connection:
                try:
                    yield connection
                except asyncpg.InterfaceError as error:  # how asyncpg names a mistake of ours, and a connection that was lost
                    if connection.is_closed():
                        raise Unavailable(str(error)) from error
                    raise
        except LOST as error:
            raise Unavailable(str(error) or "no connection was free in time") from error
