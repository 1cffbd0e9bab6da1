"""Django's test client, whose requests go through the server.

The client makes an environ. It is sent as an HTTP request; the handler runs as ever, in the test's thread, but with the environ
that the server made of it and with the server's input. Its response goes back through the server. What arrives must be what was
sent: status, headers, body; then the test gets the response object that it knows. What a proxy would say (scheme, server's name
and port, client's address, script name) stays as the test has it.
"""

from __future__ import annotations

import io
from contextlib import closing
from functools import wraps
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.test import client

from django_wire import compare, cookies, payload
from live import Live
from wire import Environ, Way
from wsgi_client import ASKED, Client
from wsgi_side import Exchange


def as_asked(environ: Environ, served: Environ) -> Environ:
    """The server's environ, with what else the test has put into its own."""
    own = {key: value for key, value in environ.items() if not key.startswith(("HTTP_", "CONTENT_", "wsgi."))}
    merged = own | served | {key: environ[key] for key in ASKED}
    if not isinstance(environ["wsgi.input"], client.FakePayload):
        merged["wsgi.input"] = environ["wsgi.input"]
    return merged


def give_back(exchange: Exchange, response: Any) -> bytes:
    """Sends a response, and gives its body. That of a streaming one can still be read."""
    headers = [*response.items(), *(("Set-Cookie", cookie) for cookie in cookies(response))]
    exchange.start_response(f"{response.status_code} {response.reason_phrase}", headers)
    items = [response.content] if not response.streaming else [] if response.is_async else list(response)
    if response.streaming and not response.is_async:
        response.streaming_content = items
    exchange.tell("iterate")
    exchange.send(items)
    exchange.finish(None)
    return b"".join(items)


def install() -> Way:
    way = Way(Live("wsgi"))
    through = Client(way)
    exchanges = through.exchanges
    original = client.ClientHandler.__call__

    @wraps(original)
    def call(handler: client.ClientHandler, environ: Environ) -> Any:
        number = exchanges.number()
        sending = exchanges.submit(way.send, environ, payload(environ), number)
        with closing(exchanges.accept(number, sending)) as exchange:
            try:
                response = original(handler, as_asked(environ, exchange.environ))
                body = give_back(exchange, response)
            except BaseException as error:
                exchange.finish(error)
                sending.result()
                raise
            compare(response, body, sending.result())
        return response

    @wraps(client.RequestFactory.request)
    def request(factory: client.RequestFactory, **request: Any) -> WSGIRequest:
        environ = factory._base_environ(**request)
        if isinstance(environ["wsgi.input"], client.FakePayload):
            environ = through.served(environ | {"wsgi.input": io.BytesIO(payload(environ))})
            environ["wsgi.input"] = client.FakePayload(environ["wsgi.input"].read())
        return WSGIRequest(environ)

    client.ClientHandler.__call__, client.RequestFactory.request = call, request
    return way
