"""An application whose requests are told apart, over ASGI and WSGI: what internal/tools/ledger asks for.

Before it does anything for a request it writes the request's id, its own process id and the time to the file that STARTS names.
While there is a file `HELD.hold`, its import meets the test at the named pipe HELD.
"""

import asyncio
import os
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from app import meet

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PIECE = 8192
PLAIN = [(b"content-type", b"text/plain")]

_starts = os.open(os.environ["STARTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def started(request_id: str) -> None:
    """One write, so that lines of several processes do not mix."""
    os.write(_starts, f"{request_id} {os.getpid()} {time.time_ns()}\n".encode())


def burn(milliseconds: str) -> None:
    end = time.monotonic() + int(milliseconds) / 1000
    while time.monotonic() < end:
        sum(range(1000))


def pieces(request_id: str, n: int) -> Iterator[bytes]:
    line = request_id.encode() + b"\n"
    for at in range(0, n, PIECE):
        first = at % len(line)
        yield (line * (PIECE // len(line) + 2))[first : first + min(PIECE, n - at)]


async def asgi(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while True:
            await send({"type": (await receive())["type"] + ".complete"})
    query = dict(parse_qsl(scope["query_string"].decode()))
    started(query["id"])
    match scope["path"][1:]:
        case "hello":
            text = "hello " + query["id"]
        case "sum":
            crc = length = 0
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                crc, length = zlib.crc32(message["body"], crc), length + len(message["body"])
                more = message["more_body"]
            text = f"{query['id']} {crc:08x} {length}"
        case "wait":
            await asyncio.sleep(int(query["ms"]) / 1000)
            text = "waited " + query["id"]
        case "burn":
            burn(query["ms"])
            text = "burned " + query["id"]
        case "hang":
            await asyncio.Event().wait()
        case "stream":
            await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
            for piece in pieces(query["id"], int(query["n"])):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
            return
    await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
    await send({"type": "http.response.body", "body": text.encode()})


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    started(query["id"])
    answer: Iterable[bytes] = []
    match environ["PATH_INFO"][1:]:
        case "hello":
            answer = [f"hello {query['id']}".encode()]
        case "sum":
            body = environ["wsgi.input"].read()
            answer = [f"{query['id']} {zlib.crc32(body):08x} {len(body)}".encode()]
        case "wait":
            time.sleep(int(query["ms"]) / 1000)
            answer = [f"waited {query['id']}".encode()]
        case "burn":
            burn(query["ms"])
            answer = [f"burned {query['id']}".encode()]
        case "hang":
            while True:
                time.sleep(1)
        case "stream":
            answer = pieces(query["id"], int(query["n"]))
    start_response("200 OK", [("content-type", "text/plain")])
    return answer


if (pipe := os.environ.get("HELD")) and os.path.exists(pipe + ".hold"):
    meet(pipe)
