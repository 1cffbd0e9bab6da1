"""Django's test client, whose requests go through the server.

The client makes an environ. It is sent as an HTTP request; the handler runs as ever, in the test's thread, but with the environ
that the server made of it and with the server's input. Its response goes back through the server. What arrives must be what was
sent: status, headers, body; then the test gets the response object that it knows. What a proxy would say (scheme, server's name
and port, client's address, script name) stays as the test has it.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from typing import Any

from django.test import client

from django_wire import Answer, Environ, Way, compare, cookies
from live import Live
from wsgi_side import Exchange

ASKED = ("REMOTE_ADDR", "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "wsgi.errors", "wsgi.url_scheme")
POLL = 0.05  # seconds between looks whether the server has answered by itself


class Exchanges:
    """One exchange after another, or one within another, of this process with the bridge."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._numbers = itertools.count(1)
        self._senders = ThreadPoolExecutor(4)

    @contextmanager
    def exchange(self, environ: Environ) -> Iterator[tuple[Exchange, Future[Answer]]]:
        """Sends a request, and waits until the server asks for its application."""
        number = str(next(self._numbers))
        path = f"{self._way.live.socket}.{number}"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            listener.settimeout(POLL)
            sending = self._senders.submit(self._way.send, environ, number)
            exchange = Exchange(accept(listener, sending))
        os.unlink(path)
        try:
            yield exchange, sending
        finally:
            exchange.close()


def accept(listener: socket.socket, sending: Future[Answer]) -> socket.socket:
    """The bridge's connection; an error if the server has answered without it."""
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            if sending.done():
                response, body = sending.result()
                raise AssertionError(f"answered by the server itself: {response.status} {body!r}") from None
        else:
            connection.settimeout(None)
            return connection


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
    exchange.send(items)
    exchange.tell("returned", None)
    return b"".join(items)


def install() -> Way:
    way = Way(Live("wsgi"))
    exchanges = Exchanges(way)
    original = client.ClientHandler.__call__

    @wraps(original)
    def call(handler: client.ClientHandler, environ: Environ) -> Any:
        with exchanges.exchange(environ) as (exchange, sending):
            try:
                response = original(handler, as_asked(environ, exchange.environ))
                body = give_back(exchange, response)
            except BaseException as error:
                exchange.tell("returned", repr(error))
                sending.result()
                raise
            compare(response, body, sending.result())
        return response

    client.ClientHandler.__call__ = call
    return way
