"""Requests of Django's test clients as HTTP, and their answers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.test import client

from wire import SERVERS_OWN, Answer, Environ


def payload(environ: Environ) -> bytes:
    """The body, which the handler is to read from the server; a stream of a test's own is left alone."""
    content = environ["wsgi.input"]
    return content.read() if isinstance(content, client.FakePayload) else b""


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
