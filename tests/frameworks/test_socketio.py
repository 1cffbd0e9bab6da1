"""python-socketio's own client, by WebSocket from the start and by polling with an upgrade."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio

from harness import Server, serve

APPS = Path(__file__).parent / "apps"
PATIENCE = 20


@pytest.fixture(scope="module")
def socketio_server(venv: Path) -> Iterator[Server]:
    with serve("socketio_events:app", APPS, env={"VIRTUAL_ENV": str(venv)}) as server:
        yield server


@pytest.fixture(params=["websocket", "upgraded"])
def talk(request: pytest.FixtureRequest, socketio_server: Server) -> Callable[[Callable[..., Awaitable[None]], int], None]:
    """`talk(scene, 2)` runs a scene with so many clients, who are connected before and gone behind it."""
    transports = ["websocket"] if request.param == "websocket" else ["polling", "websocket"]

    async def run(scene: Callable[..., Awaitable[None]], count: int) -> None:
        clients = [socketio.AsyncClient(reconnection=False) for _ in range(count)]
        try:
            for client in clients:
                await client.connect(socketio_server.url, transports=transports)
                assert client.transport() == "websocket"
            await asyncio.wait_for(scene(*clients), PATIENCE)
        finally:
            for client in clients:
                await client.disconnect()

    return lambda scene, count=1: asyncio.run(run(scene, count))


# spec: websocket 10
def test_rooms(talk: Any) -> None:
    async def scene(ada: Any, bob: Any, eve: Any) -> None:
        heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        for name, client in (("ada", ada), ("bob", bob), ("eve", eve)):
            client.on("said", lambda text, name=name: heard.put_nowait((name, text)))
        assert "tea" in await ada.call("join", "tea")
        await bob.call("join", "tea")
        await eve.call("join", "coffee")
        await ada.emit("say", ("tea", "Grüße 😀"))
        assert await heard.get() == ("bob", "Grüße 😀")
        await bob.emit("say", ("coffee", "x" * 100_000))
        assert await heard.get() == ("eve", "x" * 100_000)
        assert heard.empty()

    talk(scene, 3)


# spec: websocket 10
def test_binary_events_and_acknowledgements_both_ways(talk: Any) -> None:
    async def scene(client: Any) -> None:
        client.on("question", lambda question: question.upper())
        data = bytes(range(256)) * 300
        assert await client.call("reverse", data) == data[::-1]
        assert await client.call("ask_back", "why?") == "you said: WHY?"

    talk(scene)


# spec: websocket 10
def test_both_sides_may_leave(talk: Any, socketio_server: Server) -> None:
    async def scene(client: Any, other: Any) -> None:
        gone = asyncio.Event()
        client.on("disconnect", lambda reason: gone.set())
        await client.emit("leave")
        await gone.wait()
        await other.disconnect()

    socketio_server.stderr.clear()
    talk(scene, 2)
    socketio_server.wait_for("left: server disconnect")
    socketio_server.wait_for("left: (client disconnect|transport close)")
