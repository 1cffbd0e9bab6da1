"""The WebSocket of those that have Starlette's: `/ws/ROOM`, which everyone may enter but `secret`."""

from starlette.websockets import WebSocket


async def talk(socket: WebSocket) -> None:
    """Answers text with the room's name before it, bytes backwards; closes when told "bye"."""
    room = socket.path_params["room"]
    if room == "secret":
        await socket.close()
        return
    await socket.accept("two" if "two" in socket.scope["subprotocols"] else None)
    while (message := await socket.receive())["type"] == "websocket.receive":
        said = message.get("text")
        if said is None:
            await socket.send_bytes(message["bytes"][::-1])
        elif said == "bye":
            await socket.close(4001, "as you wish")
        else:
            await socket.send_text(f"{room}: {said}")
