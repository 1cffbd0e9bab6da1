"""Applications with every kind of lifespan."""

import asyncio
import os
import sys


def write(text):
    print(text, flush=True)


async def reply(send, body):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body.encode()})


def make(startup="lifespan.startup.complete", shutdown="lifespan.shutdown.complete", message="no database"):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            state = scope.get("state", {})
            state["seen"] = state.get("seen", 0) + 1
            await reply(send, repr(state))
            return
        assert (await receive()) == {"type": "lifespan.startup"}
        scope["state"]["pool"] = os.getpid() and "pool"
        await send({"type": startup, "message": message})
        assert (await receive()) == {"type": "lifespan.shutdown"}
        write("shutting down")
        await send({"type": shutdown, "message": message})
        write("shut down")

    return app


app = make()
failing = make(startup="lifespan.startup.failed")
failing_with_traceback = make(
    startup="lifespan.startup.failed", message="Traceback (most recent call last):\n  File x\nKeyError: 1"
)
failing_shutdown = make(shutdown="lifespan.shutdown.failed")


async def unsupported(scope, receive, send):
    assert scope["type"] == "http"
    await reply(send, repr("state" in scope))


async def returns(scope, receive, send):
    if scope["type"] == "http":
        await reply(send, repr("state" in scope))


async def takes_it_for_http(scope, receive, send):
    await receive()
    await reply(send, "ok")


async def takes_it_for_http_in_a_group(scope, receive, send):
    async with asyncio.TaskGroup() as group:
        await receive()
        group.create_task(reply(send, "ok"))


async def raises_in_startup(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        raise ConnectionError("no database")
    await reply(send, "ok")


def exits(before, after=None):
    """Raises SystemExit in its lifespan: before it receives, or after a message of its own."""

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await reply(send, "ok")
            return
        if before:
            sys.exit("no configuration")
        await receive()
        if after:
            await send({"type": after, "message": "no database"})
        sys.exit("no configuration")

    return app


exits_at_once = exits(before=True)
exits_in_startup = exits(before=False)
exits_after_failing = exits(before=False, after="lifespan.startup.failed")
exits_after_starting = exits(before=False, after="lifespan.startup.complete")


async def fails_and_raises(scope, receive, send):
    """As Starlette does it: the message, and the exception behind it."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        raise RuntimeError("no database")
    await reply(send, "ok")
