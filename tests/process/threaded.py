"""A WSGI application whose requests hang, or wait for the test."""

import os
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from app import meet


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    match environ["PATH_INFO"]:
        case "/hang":
            time.sleep(1000)
        case "/late":
            time.sleep(0.5)
        case "/meet":
            meet(query["pipe"])
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
