"""Django's asynchronous test client, whose requests go through the server: what `django_client` does, over ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import anyio
from django.test import client

from client import Call
from django_wire import compare, cookies, payload
from live import Live
from wire import Environ, Way

Scope = dict[str, Any]
ASKED = ("client", "scheme", "server")


def as_environ(scope: Scope, body: bytes) -> Environ:
    """The scope of a test in the words of WSGI, for the request that is sent."""
    query = scope.get("query_string", b"")
    host, port = scope["server"]
    environ = {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": query if isinstance(query, str) else query.decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": client.FakePayload(body),
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        environ[key if key.startswith("CONTENT_") else f"HTTP_{key}"] = value.decode("latin-1")
    return environ


async def read_body(receive: Callable[[], Awaitable[Scope]]) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def give_back(send: Callable[[Scope], Awaitable[None]], response: Any) -> bytes:
    """Sends a response, and gives its body. That of a streaming one can still be read."""
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    headers += [(b"set-cookie", cookie.encode("latin-1")) for cookie in cookies(response)]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    items = [item async for item in response] if response.streaming else [response.content]
    if response.streaming:
        response.streaming_content = again(items) if response.is_async else items
    for item in items:
        await send({"type": "http.response.body", "body": item, "more_body": True})
    await send({"type": "http.response.body"})
    return b"".join(items)


async def again(items: list[bytes]) -> Any:
    for item in items:
        yield item


def install() -> Way:
    way = Way(Live("asgi"))
    original = client.AsyncClientHandler.__call__

    @wraps(original)
    async def call(handler: client.AsyncClientHandler, scope: Scope) -> Any:
        asked = scope.pop("_body_file", client.FakePayload(b"")).read()
        given: list[Any] = []

        async def application(served: Scope, receive: Any, send: Any) -> None:
            payload = client.FakePayload(await read_body(receive))
            own = {key: scope[key] for key in ASKED}
            response = await original(handler, scope | served | own | {"_body_file": payload})
            given.extend((response, await give_back(send, response)))

        exchange = Call(application, {}, way.live.socket)
        failure = None
        async with anyio.create_task_group() as tasks:

            async def run(*, task_status: Any) -> None:
                nonlocal failure
                try:
                    await exchange.run(task_status=task_status)
                except Exception as error:
                    failure = error

            await tasks.start(run)
            environ = as_environ(scope, asked)
            answer = await asyncio.to_thread(way.send, environ, payload(environ), exchange.number)
            if not exchange.called:
                exchange.cancel_here()
        if failure is not None:
            raise failure
        assert given, f"answered by the server itself: {answer[0].status} {answer[1]!r}"
        compare(*given, answer)
        return given[0]

    client.AsyncClientHandler.__call__ = call
    return way
