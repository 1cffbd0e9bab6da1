"""A pool of two connections, opened in the lifespan, and queries that take as long as they are told."""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import asyncpg

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        pool = await asyncpg.create_pool(
            os.environ["DATABASE_URL"], min_size=2, max_size=2, server_settings={"application_name": "board"}
        )
        scope["state"]["pool"] = pool
        print("pool opened", flush=True)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await pool.close()
        print("pool closed", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    asking = asyncio.create_task(ask(scope))
    if scope["query_string"] == b"watch":
        while (await receive())["type"] != "http.disconnect":
            pass
        asking.cancel()
    value = await asking
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(value).encode()})


async def ask(scope: dict[str, Any]) -> int:
    async with scope["state"]["pool"].acquire() as connection:
        seconds = float(scope["path"].strip("/") or 0)
        value = await connection.fetchval("SELECT pg_backend_pid() FROM pg_sleep($1)", seconds)
        assert isinstance(value, int)
        return value
