"""What WebSockets cost a worker: ``python tests/worker/measure_websocket.py [loop] [sockets] [messages per batch]``.

CPU microseconds for an echo of 64 bytes, and bytes of memory for an idle connection of an application that only waits.
"""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

from fakeserver import Worker
from frames import encode
from measure import cpu_seconds, rewind, skip_all
from sockets import Socket

MESSAGES, IDLE = 400_000, 20_000


def client_fields() -> list[list[str]]:
    """What the client `websockets` sends."""
    return [
        ["host", "127.0.0.1:8000"],
        ["upgrade", "websocket"],
        ["connection", "Upgrade"],
        ["sec-websocket-key", base64.b64encode(os.urandom(16)).decode()],
        ["sec-websocket-version", "13"],
        ["sec-websocket-extensions", "permessage-deflate; client_max_window_bits"],
        ["user-agent", "Python/3.11 websockets/15.0"],
    ]


def open_sockets(worker: Worker, count: int) -> list[Socket]:
    return [
        Socket(worker, "/echo", fields=client_fields(), client_port=1024 + n, credit=1 << 30).accepted() for n in range(count)
    ]


def echo_cost(loop: str, sockets: int, batch: int) -> float:
    """CPU microseconds of the worker for a message and its echo."""
    worker = Worker("websocket:echo_only", loop=loop, ring_size=1 << 18, lifespan="off").ready()
    streams = [socket.stream.id for socket in open_sockets(worker, sockets)]
    usual = {"type": "MESSAGE", "flags": 0, "aux": 1, "body": "x" * 64}
    frames = [encode({**usual, "stream": streams[n % sockets]}) for n in range(batch)]
    rounds = MESSAGES // batch
    for _ in range(rounds // 20):
        rewind(worker.links[0], frames)
    before = cpu_seconds(worker.process.pid)
    for _ in range(rounds):
        rewind(worker.links[0], frames)
    used = cpu_seconds(worker.process.pid) - before
    skip_all(worker.links[0])
    worker.stop()
    worker.close()
    return used / (rounds * batch) * 1e6


def private_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def idle_cost(loop: str) -> float:
    """Bytes of the worker for a connection on which nothing happens."""
    worker = Worker("websocket:idle", loop=loop, ring_size=1 << 18, lifespan="off").ready()
    open_sockets(worker, 2000)  # the memory that is there already, and what the first ones need
    before = private_bytes(worker.process.pid)
    open_sockets(worker, IDLE)
    used = private_bytes(worker.process.pid) - before
    worker.stop()
    worker.close()
    return used / IDLE


def main() -> None:
    loop, sockets, batch = (sys.argv[1:] + ["asyncio", "64", "32"][len(sys.argv) - 1 :])[:3]
    print(f"{loop}: {echo_cost(loop, int(sockets), int(batch)):.2f} µs of CPU for an echo, in batches of {batch}")
    print(f"{loop}: {idle_cost(loop):.0f} bytes for an idle connection")


if __name__ == "__main__":
    main()
