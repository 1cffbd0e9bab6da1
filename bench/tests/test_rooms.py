"""WebSocket rows: what is asked, what is made of the answers, and what the application says."""

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

import load
import procs
import rooms
from launch import Launch
from load import Load
from procs import Process, Usage
from rows import DATA, SOCKET
from servers import SERVERS

sys.path.insert(0, str(DATA.parent))


def test_messages_are_asked_for_and_no_body() -> None:
    command = load.client(9000, SOCKET, 64, "-duration", "5s")
    assert command[command.index("-connections") :] == ["-connections", "64", "-duration", "5s", "-socket", "-echo", "64"]


def test_a_message_costs_its_share_of_all() -> None:
    heard = Load(requests=1000, seconds=0.5, bytes=1, latency_us={"p50": 2000, "p99": 3000})
    figures = rooms.delivered(4000.0, 1000.0, heard)
    assert (figures["cpu_us"], figures["user_us"], figures["per_cpu_second"]) == (4, 1, 250_000)
    assert (figures["rate"], figures["p50"], figures["p99"]) == (2000, 2, 3)


def test_what_the_kernel_takes_is_told_apart() -> None:
    def snapshot(*user: float) -> dict[tuple[int, int], Usage]:
        processes = [Process(pid, "x", 1, 1, 0.0, pid, used) for pid, used in enumerate(user)]
        return {p.key: Usage(p, 0.0) for p in processes}

    assert procs.user_between(snapshot(10, 20), snapshot(15, 40, 99)) == 25


def test_no_server_sends_pings(tmp_path: Path) -> None:
    for name in ("awaitd", "uvicorn", "uvicorn-wsproto"):  # the others never do
        command = SERVERS[name].command(Launch("sockets:app", 9000, 64, tmp_path))
        assert command[command.index("--ws-ping-interval") + 1] == "3600"


def test_uvicorn_has_two_implementations(tmp_path: Path) -> None:
    for name, implementation in (("uvicorn", "websockets-sansio"), ("uvicorn-wsproto", "wsproto")):
        command = SERVERS[name].command(Launch("sockets:app", 9000, 64, tmp_path))
        assert command[command.index("--ws") + 1] == implementation


def test_a_text_goes_back_and_bytes_go_to_all() -> None:
    app = importlib.import_module("sockets").app

    async def talk() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        inboxes: list[asyncio.Queue[dict[str, Any]]] = [asyncio.Queue(), asyncio.Queue()]
        sent: list[list[dict[str, Any]]] = [[], []]

        def sender(i: int) -> Any:
            async def send(message: dict[str, Any]) -> None:
                sent[i].append(message)

            return send

        calls = [asyncio.ensure_future(app({"type": "websocket"}, inboxes[i].get, sender(i))) for i in (0, 1)]
        for inbox in inboxes:
            inbox.put_nowait({"type": "websocket.connect"})
        while not all(sent):
            await asyncio.sleep(0)
        inboxes[0].put_nowait({"type": "websocket.receive", "text": "one"})
        inboxes[0].put_nowait({"type": "websocket.receive", "bytes": b"both"})
        inboxes[0].put_nowait({"type": "websocket.disconnect"})
        await calls[0]
        inboxes[1].put_nowait({"type": "websocket.receive", "bytes": b"left"})
        inboxes[1].put_nowait({"type": "websocket.disconnect"})
        await calls[1]
        return sent[0][1:], sent[1][1:]

    def message(**said: Any) -> dict[str, Any]:
        return {"type": "websocket.send", **said}

    first, second = asyncio.run(talk())
    assert first == [message(text="one"), message(bytes=b"both")]
    assert second == [message(bytes=b"both"), message(bytes=b"left")]
