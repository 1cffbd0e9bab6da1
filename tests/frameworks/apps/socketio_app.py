"""Socket.IO in front of another ASGI application, which answers what is neither an event nor a static file."""

import os
from typing import Any

import socketio

from starlette_app import app as starlette
from starlette_app import gates

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def connect(sid: str, environ: dict[str, Any], auth: dict[str, str]) -> None:
    await sio.save_session(sid, {"user": auth["user"]})


@sio.event
async def greet(sid: str, name: str) -> str:
    session = await sio.get_session(sid)
    return f"Hello, {name}! Yours, {session['user']}"  # what a handler returns is the acknowledgement


@sio.event
async def later(sid: str, key: str) -> None:
    sio.start_background_task(work, sid, key)


async def work(sid: str, key: str) -> None:
    await gates.wait(key)
    await sio.emit("done", {"key": key, "text": "Grüße"}, to=sid)


app = socketio.ASGIApp(sio, starlette, static_files={"/static": os.environ["STATIC"]})
