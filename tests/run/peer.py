"""A program for the tests: it answers each line with what the line asks for. It says nothing of itself unless told to."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys

from notifying import notify

NAMES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET")


def answer(word: str) -> str:
    match word.split():
        case ["pid"]:
            return str(os.getpid())
        case ["about"]:
            found = {
                "pid": os.getpid(),
                "env": {name: os.environ.get(name) for name in NAMES},
                "left": [name for name in os.environ if name.startswith("AWAITD")],
                "argv": sys.argv,
                "path": sys.path[0],
                "main": sys.modules["__main__"].__file__,
                "sockets": [socket.socket(fileno=os.dup(fd)).family.name for fd in range(3, 3 + int(os.environ["LISTEN_FDS"]))],
            }
            return json.dumps(found)
        case ["exit", status]:
            os._exit(int(status))
        case ["kill", number]:
            os.kill(os.getpid(), int(number))
        case ["child"]:
            return str(subprocess.Popen(["sleep", "1000"]).pid)
        case ["notify", *words]:
            notify(*words)
        case ["deaf"]:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case ["stuck"]:
            while True:
                pass
    return "done"


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write((answer(line.decode().strip()) + "\n").encode())
        await writer.drain()
    writer.close()


async def main() -> None:
    servers = [
        await (asyncio.start_unix_server if found.family == socket.AF_UNIX else asyncio.start_server)(talk, sock=found)
        for found in (socket.socket(fileno=fd) for fd in range(3, 3 + int(os.environ.get("LISTEN_FDS", "0"))))
    ]
    print("the program has begun", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    if "READY" in os.environ:
        notify(os.environ["READY"])
    asyncio.run(main())
