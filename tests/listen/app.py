"""The application of tests/listen: it tells what its process has got."""

import json
import os
import stat
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TELLS: dict[str, Callable[[], Any]] = {
    "/environ": lambda: dict(os.environ),
    "/pid": os.getpid,
    "/user": lambda: {"uid": os.getresuid(), "gid": os.getresgid(), "groups": sorted(os.getgroups())},
    "/umask": lambda: umask(),
    "/listeners": lambda: listeners(),
}


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(TELLS[scope["path"]]()).encode()})


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def listeners() -> list[str]:
    """The inodes of the sockets that this process has open."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            status = os.stat(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue  # the listing's own
        if stat.S_ISSOCK(status.st_mode):
            found.append(str(status.st_ino))
    return found


if pipe := os.environ.get("IMPORT_MEETS"):  # says that it is here, and waits until somebody opens the other side
    open(pipe + ".here", "w").close()
    os.close(os.open(pipe, os.O_RDONLY))
if os.path.exists(os.environ.get("BROKEN", "")):
    raise RuntimeError("it is broken\nin two lines")
