"""The environ of a test as a request to the server."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import frames
from live import Live

Environ = dict[str, Any]
Answer = tuple[http.client.HTTPResponse, bytes]

TIMEOUT = 20  # seconds, after which a test has failed

# Fields that are between a server and its client.
SERVERS_OWN = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


class Way:
    """The way to a server, over connections that are kept."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def connect(self) -> http.client.HTTPConnection:
        """A connection for one request; it is given back when the response has been read."""
        with self._lock:
            self.live.requests += 1
            connection = self._idle.pop() if self._idle else http.client.HTTPConnection(self.live.host, self.live.port, TIMEOUT)
        if connection.sock is None:
            connection.connect()
        return connection

    def give_back(self, connection: http.client.HTTPConnection) -> None:
        self._idle.append(connection)

    def send(self, environ: Environ, body: bytes, number: str) -> Answer:
        """Sends what a test client has put into an environ, for the bridge to ask back under a number."""
        connection = self.connect()
        write(connection, environ, body, number)
        response = connection.getresponse()
        answer = response, response.read()
        self.give_back(connection)
        return answer

    def stop(self) -> None:
        for connection in self._idle:
            connection.close()
        self.live.stop()


def write(connection: http.client.HTTPConnection, environ: Environ, body: bytes, number: str) -> None:
    """Writes a request; in HTTP/1.0, and its body in chunks, if the test has said so."""
    connection._http_vsn_str = environ.get("SERVER_PROTOCOL", "HTTP/1.1")
    connection._http_vsn = 10 if connection._http_vsn_str == "HTTP/1.0" else 11
    connection.putrequest(environ["REQUEST_METHOD"], target(environ), skip_host=True, skip_accept_encoding=True)
    chunked = environ.get("HTTP_TRANSFER_ENCODING") == "chunked"
    for name, value in fields(environ, None if chunked else body):
        connection.putheader(name, value)
    connection.putheader(frames.CALL, number)
    with suppress(BrokenPipeError, ConnectionResetError):  # the answer may come before the end of the body, and be the last
        connection.endheaders(body, encode_chunked=chunked)


def target(environ: Environ) -> str:
    path = quote(environ["PATH_INFO"].encode("latin-1"), safe="/:@!$&'()*+,;=~") or "/"
    query = quote(environ.get("QUERY_STRING", "").encode("latin-1"), safe="/:@!$&'()*+,;=~?%[]")
    return f"{path}?{query}" if query else path


def fields(environ: Environ, body: bytes | None) -> Iterator[tuple[str, str]]:
    default = {"http": "80", "https": "443"}[environ["wsgi.url_scheme"]]
    port = "" if environ["SERVER_PORT"] == default else f":{environ['SERVER_PORT']}"
    yield "Host", environ.get("HTTP_HOST") or environ["SERVER_NAME"] + port
    for key, value in environ.items():
        if key.startswith("HTTP_") and key != "HTTP_HOST" and value is not None and (value or key != "HTTP_COOKIE"):
            yield key.removeprefix("HTTP_").replace("_", "-").title(), str(value)
    if environ.get("CONTENT_TYPE"):
        yield "Content-Type", environ["CONTENT_TYPE"]
    if body or (body is not None and "CONTENT_LENGTH" in environ):
        yield "Content-Length", str(len(body))
