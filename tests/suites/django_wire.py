"""Requests of Django's test clients as HTTP, and their answers."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from django.test import client

import frames
from live import Live

Environ = dict[str, Any]
Answer = tuple[http.client.HTTPResponse, bytes]

# Fields that are between a server and its client.
SERVERS_OWN = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


class Way:
    """The way to a server, over connections that are kept."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self._idle: list[http.client.HTTPConnection] = []
        self._counting = threading.Lock()

    def send(self, environ: Environ, number: str) -> Answer:
        """Sends what a test client has put into an environ, for the bridge to ask back under a number."""
        with self._counting:
            self.live.requests += 1
            connection = self._idle.pop() if self._idle else http.client.HTTPConnection(self.live.host, self.live.port, 20)
        body = payload(environ)
        connection.putrequest(environ["REQUEST_METHOD"], target(environ), skip_host=True, skip_accept_encoding=True)
        for name, value in fields(environ, body):
            connection.putheader(name, value)
        connection.putheader(frames.CALL, number)
        with suppress(BrokenPipeError, ConnectionResetError):  # the answer may come before the end of the body, and be the last
            connection.endheaders(body)
        response = connection.getresponse()
        answer = response, response.read()
        self._idle.append(connection)
        return answer

    def stop(self) -> None:
        for connection in self._idle:
            connection.close()
        self.live.stop()


def payload(environ: Environ) -> bytes:
    """The body, which the handler is to read from the server; a stream of a test's own is left alone."""
    content = environ["wsgi.input"]
    return content.read() if isinstance(content, client.FakePayload) else b""


def target(environ: Environ) -> str:
    path = quote(environ["PATH_INFO"].encode("latin-1"), safe="/:@!$&'()*+,;=~") or "/"
    query = quote(environ.get("QUERY_STRING", "").encode("latin-1"), safe="/:@!$&'()*+,;=~?%[]")
    return f"{path}?{query}" if query else path


def fields(environ: Environ, body: bytes) -> Iterator[tuple[str, str]]:
    default = {"http": "80", "https": "443"}[environ["wsgi.url_scheme"]]
    port = "" if environ["SERVER_PORT"] == default else f":{environ['SERVER_PORT']}"
    yield "Host", environ.get("HTTP_HOST") or environ["SERVER_NAME"] + port
    for key, value in environ.items():
        if key.startswith("HTTP_") and key != "HTTP_HOST" and value is not None and (value or key != "HTTP_COOKIE"):
            yield key.removeprefix("HTTP_").replace("_", "-").title(), str(value)
    if environ.get("CONTENT_TYPE"):
        yield "Content-Type", environ["CONTENT_TYPE"]
    if body or "CONTENT_LENGTH" in environ:
        yield "Content-Length", str(len(body))


def cookies(response: Any) -> list[str]:
    return [cookie.output(header="").strip() for cookie in response.cookies.values()]


def compare(response: Any, body: bytes, answer: Answer) -> None:
    """What has arrived is what was sent."""
    arrived, content = answer
    assert (arrived.status, arrived.reason) == (response.status_code, response.reason_phrase)
    sent = Counter(
        [*((name.lower(), value) for name, value in response.items()), *(("set-cookie", c) for c in cookies(response))]
    )
    got = Counter((name.lower(), value) for name, value in arrived.getheaders())
    missing = {pair for pair in sent - got if pair[0] not in SERVERS_OWN}
    added = {pair for pair in got - sent if pair[0] not in SERVERS_OWN}
    assert not missing, f"lost on the way: {missing}"
    assert not added, f"came from nowhere: {added}"
    assert content == body, f"sent {body[:200]!r}, arrived {content[:200]!r}"
