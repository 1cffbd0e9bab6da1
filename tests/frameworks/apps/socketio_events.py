"""What python-socketio has beyond requests: rooms, acknowledgements, binary events, both ways."""

import sys

import socketio

sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins=[])


@sio.event
async def join(sid: str, room: str) -> list[str]:
    await sio.enter_room(sid, room)
    return sorted(sio.rooms(sid))


@sio.event
async def say(sid: str, room: str, text: str) -> None:
    await sio.emit("said", text, room=room, skip_sid=sid)


@sio.event
async def reverse(sid: str, data: bytes) -> bytes:
    return data[::-1]


@sio.event
async def ask_back(sid: str, question: str) -> str:
    """Asks the client, and tells it what it answered."""
    return "you said: " + await sio.call("question", question, to=sid)


@sio.event
async def leave(sid: str) -> None:
    await sio.disconnect(sid)


@sio.event
async def disconnect(sid: str, reason: str) -> None:
    print(f"left: {reason}", file=sys.stderr, flush=True)


app = socketio.ASGIApp(sio)
