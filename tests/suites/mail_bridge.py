"""In the server's worker: a mail application that asks the tests' process, by a unix socket, about everything.

Each connection of a client is one to that socket: the scope first, then what is received and sent, a line of JSON each.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
LIMIT = 1 << 26  # of a line: a message's part, mostly


def to_line(message: Message) -> bytes:
    """A message as a line; bytes in it as base64."""
    return json.dumps(message, default=lambda data: {"base64": base64.b64encode(data).decode()}).encode() + b"\n"


def from_line(line: bytes) -> dict[str, Any]:
    def bytes_again(found: dict[str, Any]) -> Any:
        return base64.b64decode(found["base64"]) if found.keys() == {"base64"} else found

    message: dict[str, Any] = json.loads(line, object_hook=bytes_again)
    return message


async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    reader, writer = await asyncio.open_unix_connection(os.environ["BRIDGE_SOCKET"], limit=LIMIT)
    try:
        writer.write(to_line(scope))
        passing = asyncio.create_task(_pass_on(receive, writer))
        while line := await reader.readline():
            await send(from_line(line))
        passing.cancel()
    finally:
        writer.close()


async def _pass_on(receive: Callable[[], Awaitable[Message]], writer: asyncio.StreamWriter) -> None:
    kind = ""
    while kind != "smtp.disconnect":
        message = await receive()
        kind = message["type"]
        writer.write(to_line(message))
        await writer.drain()
