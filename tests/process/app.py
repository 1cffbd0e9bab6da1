"""The application of tests/process: workers that block, die, fork and talk, at the word of a request.

Tests and requests meet in named pipes and files: opening a named pipe waits for the other side, so nothing sleeps.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Query = dict[str, str]


def meet(pipe: str) -> None:
    """Says, with a file, that it is here, and blocks until the test opens the other side."""
    open(pipe + ".here", "w").close()
    os.close(os.open(pipe, os.O_RDONLY))


def note(line: str) -> None:
    with open(os.environ["NOTES"], "a") as file:
        file.write(line + "\n")


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    handler: Callable[[Query, Receive, Send], Awaitable[str]] = globals()["do_" + scope["path"][1:].replace("-", "_")]
    if text := await handler(query, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": text.encode()})


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if "NOTES" in os.environ:
        note("lifespan shutdown")
    await send({"type": "lifespan.shutdown.complete"})


async def do_pid(query: Query, receive: Receive, send: Send) -> str:
    return str(os.getpid())


async def do_version(query: Query, receive: Receive, send: Send) -> str:
    return os.environ.get("VERSION", "one")


async def do_block(query: Query, receive: Receive, send: Send) -> str:
    """Blocks the event loop."""
    meet(query["pipe"])
    return str(os.getpid())


async def do_grow(query: Query, receive: Receive, send: Send) -> str:
    """Takes memory and keeps it."""
    hoard.append(b"x" * int(query["bytes"]))
    return str(os.getpid())


hoard: list[bytes] = []


async def do_hang(query: Query, receive: Receive, send: Send) -> str:
    """Waits for ever; says when it is told to end."""
    try:
        await asyncio.Event().wait()
    finally:
        note("hung until cancelled")
    return ""


async def do_spin(query: Query, receive: Receive, send: Send) -> str:
    """Computes for ever, and catches what it can."""
    while True:
        try:
            sum(range(1000))
        except BaseException:
            note("interrupted")


async def wait_at(gate: str) -> None:
    """Waits until a gate is open, without blocking the event loop."""
    loop, opened = asyncio.get_running_loop(), asyncio.Event()
    pipe = os.open(gate, os.O_RDONLY | os.O_NONBLOCK)
    try:
        loop.add_reader(pipe, opened.set)
        await opened.wait()
    finally:
        loop.remove_reader(pipe)
        os.close(pipe)


async def do_wait(query: Query, receive: Receive, send: Send) -> str:
    """Waits at a gate; the head is out before."""
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"first,", "more_body": True})
    await wait_at(query["gate"])
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
    return ""


async def do_quiet(query: Query, receive: Receive, send: Send) -> str:
    """Waits at a gate before it says anything."""
    await wait_at(query["gate"])
    return str(os.getpid())


async def do_events(query: Query, receive: Receive, send: Send) -> str:
    """An event stream that goes on until the client leaves; or for ever."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    if "NOTES" in os.environ:
        note("disconnected")
    if "for-ever" in query:
        await asyncio.Event().wait()
    return ""


async def do_signal(query: Query, receive: Receive, send: Send) -> str:
    os.kill(os.getpid(), getattr(signal, query["name"]))
    await asyncio.Event().wait()
    return ""


async def do_exit(query: Query, receive: Receive, send: Send) -> str:
    sys.exit(int(query["code"]))


async def do_hard_exit(query: Query, receive: Receive, send: Send) -> str:
    os._exit(int(query["code"]))


async def do_die_once(query: Query, receive: Receive, send: Send) -> str:
    """Kills its worker the first time."""
    if not os.path.exists(query["file"]):
        open(query["file"], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


async def do_segfault(query: Query, receive: Receive, send: Send) -> str:
    ctypes.string_at(0)
    return ""


async def do_die_after_head(query: Query, receive: Receive, send: Send) -> str:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"some", "more_body": True})
    await asyncio.sleep(0)  # the end of a turn: now it is on its way
    meet(query["pipe"])
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


async def do_orphan(query: Query, receive: Receive, send: Send) -> str:
    """Leaves a process behind that has left this process group, too, and writes whose child it became."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            meet(query["pipe"])
            with open(query["file"] + ".new", "w") as file:
                json.dump({"pid": os.getpid(), "parent": os.getppid()}, file)
            os.rename(query["file"] + ".new", query["file"])
        os._exit(0)
    os.wait()
    return "left one behind"


async def do_print(query: Query, receive: Receive, send: Send) -> str:
    print(query["text"])
    print(query["text"], file=sys.stderr)
    return "printed"


async def do_talk(query: Query, receive: Receive, send: Send) -> str:
    """Writes lines of 1,000 bytes to stderr."""
    for _ in range(int(query["lines"])):
        sys.stderr.write("x" * 999 + "\n")
    return "talked"


if pipe := os.environ.get("IMPORT_MEETS"):
    meet(pipe)
