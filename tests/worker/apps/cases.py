"""What the modules of the ASGI application have in common: the table of its test cases, their log, and how they answer."""

from __future__ import annotations

import asyncio
import json

CASES = {}
LOG = []
GATES = []


def case(function):
    CASES["/" + function.__name__] = function
    return function


async def reply(send, value, status=200):
    await send({"type": "http.response.start", "status": status})
    await send({"type": "http.response.body", "body": value if isinstance(value, bytes) else json.dumps(value).encode()})


async def error_of(awaitable_maker):
    try:
        await awaitable_maker()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing raised"


def new_gate():
    """Where a case waits for /open_gate; the last one made is the one that is opened."""
    GATES[:] = [asyncio.Event()]
    return GATES[0]
