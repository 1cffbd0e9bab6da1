"""One client of calls.py: `calling.py CLIENT JOB URL SECONDS` prints what it measured, as JSON."""

import asyncio
import importlib
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

AT_ONCE = 100
LARGE = 1_000_000_000


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def get_many(get: Callable[[], Awaitable[Any]], seconds: float) -> dict[str, float]:
    """Requests in a second, and microseconds of this process for each."""
    await get()
    count, begin, used = 0, time.perf_counter(), cpu()

    async def one() -> None:
        nonlocal count
        while time.perf_counter() - begin < seconds:
            await get()
            count += 1

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return {"rate": count / (time.perf_counter() - begin), "cpu": (cpu() - used) / count * 1e6}


def transport(client: str, httpx: Any) -> Any:
    if client == "awaitd":
        return importlib.import_module("awaitd").AsyncTransport()
    if client != "null":
        return None

    class Null(httpx.AsyncBaseTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            return httpx.Response(200, headers=[(b"content-type", b"text/plain")], content=b"hello")

    return Null()


async def by_httpx(client: str, job: str, url: str, seconds: float) -> dict[str, float]:
    httpx = importlib.import_module("httpx2" if client == "httpx2" else "httpx")
    async with httpx.AsyncClient(transport=transport(client, httpx), timeout=60) as session:
        if job == "get":
            return await get_many(lambda: session.get(url), seconds)
        await session.get(url)
        begin, used, size = time.perf_counter(), cpu(), 0
        async with session.stream("GET", f"{url}large?bytes={LARGE}") as response:
            async for piece in response.aiter_bytes():
                size += len(piece)
        assert size == LARGE
        return {"rate": size / (time.perf_counter() - begin) / 1e6, "cpu": (cpu() - used) * 1e6}


async def by_aiohttp(url: str, seconds: float) -> dict[str, float]:
    aiohttp = importlib.import_module("aiohttp")
    async with aiohttp.ClientSession() as session:

        async def get() -> None:
            async with session.get(url) as response:
                await response.read()

        return await get_many(get, seconds)


if __name__ == "__main__":
    name, job, url, seconds = sys.argv[1:]
    measured = by_aiohttp(url, float(seconds)) if name == "aiohttp" else by_httpx(name, job, url, float(seconds))
    print(json.dumps(asyncio.run(measured)))
