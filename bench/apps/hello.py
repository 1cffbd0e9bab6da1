"""The raw applications every server runs: `app` (ASGI) and `wsgi` (WSGI), with as little Python in them as possible."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HELLO = b"Hello, World!"
TEN_K = b"0123456789abcdef" * 640
HELLO_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
TEN_K_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"10240")]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Answers / with 13 bytes, /10k with 10,240, and /echo with the request's own body."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    path = scope["path"]
    if path == "/":
        await send({"type": "http.response.start", "status": 200, "headers": HELLO_HEADERS})
        await send({"type": "http.response.body", "body": HELLO})
    elif path == "/10k":
        await send({"type": "http.response.start", "status": 200, "headers": TEN_K_HEADERS})
        await send({"type": "http.response.body", "body": TEN_K})
    elif path == "/echo":
        body = await read(receive)
        headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    else:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def read(receive: Receive) -> bytes:
    """Reads the whole request body."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def lifespan(receive: Receive, send: Send) -> None:
    """Completes start-up and shutdown at once."""
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def wsgi(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """Answers everything with 13 bytes."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [HELLO]
