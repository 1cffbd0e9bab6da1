"""A WSGI application that waits 10 ms without the GIL, as one that asks a database does."""

import time
from collections.abc import Callable, Iterable
from typing import Any

HELLO = b"Hello, World!"
WAIT = 0.01


def wsgi(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """Answers everything with 13 bytes, later."""
    time.sleep(WAIT)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [HELLO]
