"""A WebSocket application with as little Python in it as possible: a text goes back, bytes go to all."""

from typing import Any

try:
    from awaitd import broadcast
except ImportError:  # another server's environment
    broadcast = None

from hello import Receive, Send
from hello import app as hello

ROOM: dict[Send, dict[str, Any]] = {}


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answers requests as `hello` does."""
    if scope["type"] != "websocket":
        await hello(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    ROOM[send] = scope
    try:
        while (message := await receive())["type"] == "websocket.receive":
            if (text := message.get("text")) is not None:
                await send({"type": "websocket.send", "text": text})
            else:
                await tell(message["bytes"])
    finally:
        del ROOM[send]


async def tell(said: bytes) -> None:
    """Sends the same to everyone: at once where the server can do that, else one after the other."""
    if broadcast and any("awaitd.broadcast" in scope.get("extensions", ()) for scope in ROOM.values()):
        left_out = broadcast(ROOM.values(), said)
        assert not left_out
        return
    for send in list(ROOM):
        await send({"type": "websocket.send", "bytes": said})
