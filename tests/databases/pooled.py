"""An application with a pool, by asyncpg or by SQLAlchemy, and routes that show what becomes of its connections.

A request waits by asking PostgreSQL for a lock that the test holds, so nothing here is timed.
"""

import asyncio
import contextvars
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, async_scoped_session, async_sessionmaker, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

SIZE = int(os.environ.get("POOL", "3"))
URL = os.environ["URL"]
request_name: contextvars.ContextVar[str] = contextvars.ContextVar("request_name")


def settings() -> dict[str, str]:
    """By its name the test tells in pg_stat_activity which worker has a connection."""
    return {"application_name": f"pooled {os.getpid()}"}


class Plain:
    """asyncpg's own pool."""

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(URL, min_size=SIZE, max_size=SIZE, server_settings=settings())

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection.fetchval

    @asynccontextmanager
    async def rows(self, query: str) -> AsyncIterator[AsyncIterator[Any]]:
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection.cursor(query)


class Sessions:
    """SQLAlchemy: a session for each task, and so for each request."""

    async def open(self) -> None:
        url = URL.replace("postgresql:", "postgresql+asyncpg:")
        self._engine = create_async_engine(url, pool_size=SIZE, max_overflow=0, connect_args={"server_settings": settings()})
        self.session = async_scoped_session(async_sessionmaker(self._engine), scopefunc=asyncio.current_task)
        held = [await self._engine.connect() for _ in range(SIZE)]
        for connection in held:
            await connection.close()

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        try:
            async with self.session.begin():
                yield self._value
        finally:
            await self.session.remove()

    async def _value(self, query: str, *values: Any) -> Any:
        connection: AsyncConnection = await self.session.connection()
        return (await connection.exec_driver_sql(query, values)).scalar()

    @asynccontextmanager
    async def rows(self, query: str) -> AsyncIterator[AsyncIterator[Any]]:
        async with self._engine.connect() as connection:
            yield await connection.stream(text(query), execution_options={"yield_per": 50})


pool: Plain | Sessions = Sessions() if os.environ["DRIVER"] == "sqlalchemy" else Plain()


def note(what: str) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{what} {os.getpid()}\n")


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    await pool.open()
    note("opened")
    yield
    await pool.close()
    note("closed")


async def pid(_request: Request) -> Response:
    """Who answers: the worker, and PostgreSQL's process."""
    async with pool.transaction() as value:
        return JSONResponse([os.getpid(), await value("SELECT pg_backend_pid()")])


async def wait(request: Request) -> Response:
    """Answers when the test gives the lock back."""
    async with pool.transaction() as value:
        await value("SELECT pg_advisory_xact_lock_shared($1)", int(request.query_params["lock"]))
        return JSONResponse(os.getpid())


async def impatient(request: Request) -> Response:
    """As `wait`, but gives up when the client leaves."""
    work = asyncio.create_task(wait(request))
    left = asyncio.create_task(gone(request))
    await asyncio.wait([work, left], return_when=asyncio.FIRST_COMPLETED)
    left.cancel()
    if not work.done():
        work.cancel()
        await asyncio.wait([work])
        note("gave up")
        return Response()
    return await work


async def gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def export(_request: Request) -> Response:
    """More rows than anybody reads, by a cursor in a transaction."""

    async def lines() -> AsyncIterator[bytes]:
        async with pool.rows("SELECT repeat('x', 1000) || n FROM generate_series(1, 1000000) AS n") as rows:
            async for row in rows:
                yield row[0].encode() + b"\n"

    return StreamingResponse(lines())


async def own(request: Request) -> Response:
    """What is this request's alone: its context, and a setting of its transaction, before and after others had their turns."""
    name = request.query_params["name"]
    request_name.set(name)
    async with pool.transaction() as value:
        await value("SELECT set_config('test.name', $1, true)", name)
        before = await value("SELECT pg_backend_pid()")
        await value("SELECT pg_sleep(0.001)")
        seen = await value("SELECT current_setting('test.name')")
        after = await value("SELECT pg_backend_pid()")
    return JSONResponse([request_name.get(), seen, before == after])


app = Starlette(lifespan=lifespan, routes=[Route(f"/{do.__name__}", do) for do in (pid, wait, impatient, export, own)])
