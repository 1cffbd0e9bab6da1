"""The application of test_odd.py: what is allowed and seldom done."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

START = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body", "body": b"hi"}
TRAILERS: dict[str, list[Message]] = {
    "/trailers-none": [],
    "/trailers-empty": [{"type": "http.response.trailers", "headers": []}],
    "/trailers-missing": [{"type": "http.response.trailers"}],
    "/trailers-unfinished": [{"type": "http.response.trailers", "headers": [(b"x-a", b"1")], "more_trailers": True}],
}


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    path = scope["path"]
    if path in TRAILERS:
        await send(START | {"trailers": True})
        await send(BODY)
        for message in TRAILERS[path]:
            await send(message)
    elif path == "/cancelled":
        raise asyncio.CancelledError("by itself")
    elif path == "/ended":
        raise GeneratorExit("by itself")
    elif path == "/exit":
        sys.exit(3)
    elif path == "/waits":
        await receive()
        await asyncio.Event().wait()
    elif path == "/starts-and-waits":
        await send(START)
        await send(BODY | {"more_body": True})
        await asyncio.Event().wait()
    elif path == "/any-fields":
        fields = [[b"x-a", bytearray(b"1")], (bytearray(b"x-b"), memoryview(b"2")), (b"x-c", b"3")]
        await send(START | {"headers": (field for field in fields)})
        await send(BODY)
    elif path == "/bad-header":
        name, value = scope["query_string"].decode("latin-1").split("=")
        try:
            await send(START | {"headers": [(name.encode(), bytes.fromhex(value))]})
        except ValueError as error:
            await send(START)
            await send({"type": "http.response.body", "body": json.dumps(str(error)).encode()})
    else:
        await send(START)
        await send(BODY)
