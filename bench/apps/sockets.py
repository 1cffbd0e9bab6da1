"""A WebSocket application with as little Python in it as possible: a text goes back, bytes go to all."""

from typing import Any

from hello import Receive, Send
from hello import app as hello

ROOM: set[Send] = set()


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answers requests as `hello` does."""
    if scope["type"] != "websocket":
        await hello(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    ROOM.add(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            if (text := message.get("text")) is not None:
                await send({"type": "websocket.send", "text": text})
            else:
                await tell(message["bytes"])
    finally:
        ROOM.discard(send)


async def tell(said: bytes) -> None:
    """Sends the same to everyone: at once where the server can do that, else one after the other."""
    for send in list(ROOM):
        await send({"type": "websocket.send", "bytes": said})
