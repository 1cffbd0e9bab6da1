"""Applications that differ in their lifespan."""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def answer(send: Send, text: bytes) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": text})


async def none(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await answer(send, b"none")


async def failing(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        return
    await answer(send, b"failing")


async def hanging(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


def log(line: str) -> None:
    with open(os.environ["LOG"], "a") as file:
        file.write(line + "\n")


async def counting(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Notes its life in a file; its answer ends when the request has."""
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{word}"
            log(word)
            await send({"type": f"lifespan.{word}.complete"})
        return
    await send({"type": "http.response.start", "status": 200})
    while (await receive()).get("more_body"):
        pass
    log("answered")
    await send({"type": "http.response.body", "body": b"done"})
