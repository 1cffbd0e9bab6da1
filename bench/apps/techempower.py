"""TechEmpower's four with a database, on plain ASGI with asyncpg and jinja2: one query, many, updates, fortunes.

As there: each query is a round trip of its own; fortunes get one more row, are sorted and escaped; connections are not reset
when they go back to the pool. With `seed` in the query string the draw is known beforehand, so that a reply can be compared.
"""

import json
import os
import random
from collections.abc import Awaitable, Callable
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import asyncpg
import jinja2

POOL = 16
READ = "SELECT id, randomnumber FROM world WHERE id = $1"
WRITE = "UPDATE world SET randomnumber = $1 WHERE id = $2"
FORTUNES = "SELECT id, message FROM fortune"
ADDED = (0, "Additional fortune added at request time.")

templates = jinja2.Environment(autoescape=True, trim_blocks=True, loader=jinja2.FileSystemLoader(Path(__file__).parent))
page = templates.get_template("fortunes.html")
pool: Any = None


class Connection(asyncpg.Connection):
    """asyncpg else asks the server to forget all that a request may have set, which costs a round trip each time."""

    def get_reset_query(self) -> str:
        return ""


async def one(draw: random.Random, _count: int) -> bytes:
    async with pool.acquire() as connection:
        return jsoned(await connection.fetchrow(READ, draw.randint(1, 10_000)))


async def many(draw: random.Random, count: int) -> bytes:
    async with pool.acquire() as connection:
        rows = [await connection.fetchrow(READ, number) for number in draw.sample(range(1, 10_001), count)]
    return jsoned(rows)


async def updates(draw: random.Random, count: int) -> bytes:
    """In the order of their ids, so that two requests never wait for each other in a circle."""
    ids = sorted(draw.sample(range(1, 10_001), count))
    changed = [(draw.randint(1, 10_000), number) for number in ids]
    async with pool.acquire() as connection:
        for number in ids:
            await connection.fetchrow(READ, number)
        await connection.executemany(WRITE, changed)
    return json.dumps([{"id": number, "randomNumber": new} for new, number in changed]).encode()


async def fortunes(_draw: random.Random, _count: int) -> bytes:
    async with pool.acquire() as connection:
        rows = [*await connection.fetch(FORTUNES), ADDED]
    rows.sort(key=itemgetter(1))
    return page.render(fortunes=rows).encode()


def jsoned(found: Any) -> bytes:
    rows = found if isinstance(found, list) else [found]
    objects = [{"id": row[0], "randomNumber": row[1]} for row in rows]
    return json.dumps(objects if found is rows else objects[0]).encode()


Page = Callable[[random.Random, int], Awaitable[bytes]]
JSON, HTML = b"application/json", b"text/html; charset=utf-8"
PAGES: dict[str, tuple[Page, bytes]] = {
    "/db": (one, JSON),
    "/queries": (many, JSON),
    "/updates": (updates, JSON),
    "/fortunes": (fortunes, HTML),
}
chance = random.Random()


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    answer, content_type = PAGES[scope["path"]]
    asked = dict(parse_qsl(scope["query_string"].decode())) if scope["query_string"] else {}
    draw = random.Random(int(asked["seed"])) if "seed" in asked else chance
    body = await answer(draw, int(asked.get("queries", 1)))
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def lifespan(receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    global pool
    await receive()
    pool = await asyncpg.create_pool(os.environ["BENCH_DATABASE"], min_size=POOL, max_size=POOL, connection_class=Connection)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await pool.close()
    await send({"type": "lifespan.shutdown.complete"})
