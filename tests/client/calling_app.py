"""Applications that call another: ASGI by httpx's AsyncClient, WSGI by its Client and by requests."""

from typing import Any
from urllib.parse import parse_qs

import httpx
import requests

import awaitd

client: httpx.AsyncClient | None = None
threaded = httpx.Client(transport=awaitd.Transport(), timeout=5)
session = requests.Session()
session.mount("http://", awaitd.RequestsAdapter())


async def app(scope: Any, receive: Any, send: Any) -> None:
    global client
    if scope["type"] != "http":
        raise RuntimeError("only http")
    client = client or httpx.AsyncClient(transport=awaitd.AsyncTransport(), timeout=5)
    url = parse_qs(scope["query_string"].decode())["url"][0]
    try:
        async with client.stream("GET", url) as response:
            await send({"type": "http.response.start", "status": response.status_code, "headers": []})
            async for piece in response.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
    except httpx.TransportError as error:
        text = f"{type(error).__name__}: {error}".encode()
        await send({"type": "http.response.start", "status": 502, "headers": []})
        await send({"type": "http.response.body", "body": text})


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    url = parse_qs(environ["QUERY_STRING"])["url"][0]
    get = session.get if environ["PATH_INFO"] == "/requests" else threaded.get
    try:
        content = get(url).content
    except (httpx.TransportError, requests.ConnectionError) as error:
        start_response("502 Bad Gateway", [])
        return [f"{type(error).__name__}: {error}".encode()]
    start_response("200 OK", [])
    return [content]


if __name__ == "__main__":
    import sys

    print("answer:", threaded.get(sys.argv[1]).text, flush=True)
