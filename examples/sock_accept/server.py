"""The loop of PEP 492's time, made a service: sockets come from outside, and a new version takes over without a pause.

    awaitd run --bind 127.0.0.1:7001 server.py

The program uses nothing of awaitd: the same file runs under systemd with a socket unit.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress

FIRST = 3  # SD_LISTEN_FDS_START


def listeners() -> list[socket.socket]:
    """The sockets that this process was started with: sd_listen_fds(3)."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ["LISTEN_FDS"])
    return [socket.socket(fileno=fd) for fd in range(FIRST, FIRST + count)]


def notify(*assignments: str) -> None:
    """Tell who started this process how it is: sd_notify(3)."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.connect(address.replace("@", "\0", 1))
            manager.sendall("\n".join(assignments).encode())


async def handle(client: socket.socket) -> None:
    """Answer each line with the same line, and this process's id."""
    loop = asyncio.get_running_loop()
    rest = b""
    with client, suppress(ConnectionError):
        while data := await loop.sock_recv(client, 65536):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                await loop.sock_sendall(client, b"%d %s\n" % (os.getpid(), line))


async def accept(listener: socket.socket, stopping: asyncio.Event, clients: asyncio.TaskGroup) -> None:
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    while not stopping.is_set():
        client, _ = await loop.sock_accept(listener)
        clients.create_task(handle(client))


async def main() -> None:
    loop, stopping, sockets = asyncio.get_running_loop(), asyncio.Event(), listeners()

    if not sockets:
        sys.exit("no sockets were passed: start me with `awaitd run --bind 127.0.0.1:7001`")

    def stop() -> None:
        """Accept no more. Cancelling sock_accept() alone could lose a connection that it has just taken."""
        stopping.set()
        for listener in sockets:
            loop.remove_reader(listener)

    loop.add_signal_handler(signal.SIGTERM, stop)
    async with asyncio.TaskGroup() as clients:
        accepting = {asyncio.create_task(accept(listener, stopping, clients)) for listener in sockets}
        notify("READY=1", "STATUS=Answering")
        await stopping.wait()
        notify("STOPPING=1", "STATUS=Finishing what runs")
        await asyncio.wait(accepting, timeout=0)  # what was taken a moment ago is let in
        for task in accepting:
            task.cancel()


asyncio.run(main())
