"""An application of quick and slow pages: / at once, /wait after 200 ms, /burn after 50 ms of CPU, /stuck never."""

import asyncio
import time

from hello import HELLO, Message, Receive, Send, lifespan

WAIT = 0.2
BURN = 0.05


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    path, body = scope["path"], HELLO
    if path == "/wait":
        await asyncio.sleep(WAIT)
        body = b"waited"
    elif path == "/burn":
        burn()
        body = b"burnt"
    elif path == "/stuck":
        while True:
            pass
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def burn() -> None:
    """Uses CPU of this thread alone: what else the process does, or whoever takes the core meanwhile, is not counted."""
    end = time.thread_time() + BURN
    while time.thread_time() < end:
        pass
