"""Parts of files that are read here and sent as body messages, because more of the body comes behind them."""

from __future__ import annotations

import asyncio
import os

from ._interface import Send

#: Bytes of one message, as of those of a request's body.
PIECE = 1 << 16


async def send_part(send: Send, descriptor: int, offset: int, count: int) -> None:
    """Send ``count`` bytes of a file from ``offset`` on, read off the loop. Raises ``OSError`` if they are not there."""
    loop = asyncio.get_running_loop()
    while count > 0:
        data = await loop.run_in_executor(None, os.pread, descriptor, min(count, PIECE), offset)
        if not data:
            raise OSError(f"the file has shrunk while it was sent: {count} bytes are missing")
        offset += len(data)
        count -= len(data)
        await send({"type": "http.response.body", "body": data, "more_body": True})
