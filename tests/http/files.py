"""The application of test_files.py: sends parts of files, as the query says. FOLDER is where they are."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

FOLDER = Path(os.environ["FOLDER"])
shared = open(FOLDER / "large", "rb", buffering=0)  # noqa: SIM115 (for ever; a buffer would move the position by reading ahead)


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
    headers = [(b"content-length", query["length"].encode())] if "length" in query else []
    if scope["path"] == "/descriptors":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"%d" % len(os.listdir("/proc/self/fd"))})
        return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    range = {key: int(query[key]) for key in ("offset", "count") if key in query}
    if scope["path"] == "/path":
        await send({"type": "http.response.pathsend", "path": str(FOLDER / query["name"])})
    elif scope["path"] == "/shared":
        await send({"type": "http.response.zerocopysend", "file": shared, **range})
        shared.seek(int(query["seek"]))  # while the client still reads
        shared.read(100)
    elif scope["path"] == "/parts":
        with open(FOLDER / query["name"], "rb") as file:
            part = {"type": "http.response.zerocopysend", "file": file}
            await send({"type": "http.response.body", "body": b"<", "more_body": True})
            await send({**part, "offset": 10, "count": 5, "more_body": True})
            await send({"type": "http.response.body", "body": b"|", "more_body": True})
            await send({**part, **range})
    else:
        with open(FOLDER / query["name"], "rb") as file:
            await send({"type": "http.response.zerocopysend", "file": file, **range})
