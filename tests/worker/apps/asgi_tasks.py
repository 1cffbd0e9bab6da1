"""Test cases of ``asgi.py``: tasks, and how they end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import sys

from cases import LOG, case, new_gate, reply

VARIABLE = contextvars.ContextVar("variable", default="unset")


@case
async def task(scope, receive, send):
    """What kind of task runs this, and whether it starts in its own context."""
    current = asyncio.current_task()
    before = VARIABLE.get()
    VARIABLE.set("leaked")
    async with asyncio.timeout(5):
        await asyncio.sleep(0)
    frame = getattr(current.get_coro(), "cr_frame", None)
    await reply(send, [isinstance(current, asyncio.Task), before, frame and frame.f_code.co_name])


@case
async def eager(scope, receive, send):
    """Turns of the event loop between the start of the request and its first callback: 0 if it started eagerly."""
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"%d" % len(turns)})
    LOG.append("call_soon" in vars(asyncio.get_running_loop()))


WAITING = []


@case
async def among_tasks(scope, receive, send):
    """Is this task among all tasks, before and after it has waited? Is asyncio's set as it was?"""
    me = asyncio.current_task()
    seen = [me in asyncio.all_tasks()]
    await asyncio.sleep(0)
    seen.append(me in asyncio.all_tasks())
    await reply(send, json.dumps([*seen, "add" in vars(getattr(asyncio.tasks, "_all_tasks", asyncio))]).encode())


@case
async def tasks_while_iterated(scope, receive, send):
    """Holds the set of all tasks in an iteration that later requests happen in."""
    if not WAITING:
        WAITING.append(iter(asyncio.tasks._all_tasks))
        next(WAITING[0])
        await reply(send, b"")
    else:
        WAITING.pop().close()
        gc.collect()
        await asyncio.sleep(0)
        done = [t for t in asyncio.tasks._all_tasks if t.done() and t.get_name() != "lifespan"]
        await reply(send, b"%d" % len(done))


class Garbage:
    """Schedules tasks and callbacks when it is collected."""

    def __init__(self):
        self.me = self

    def __del__(self):
        loop = asyncio.get_running_loop()
        loop.call_soon(LOG.append, "callback")
        loop.create_task(Garbage.work())  # noqa: RUF006 (garbage, on purpose)

    @staticmethod
    async def work():
        LOG.append("task")


@case
async def garbage(scope, receive, send):
    """Makes garbage whose finalizers use the loop, and a collector that runs at every allocation."""
    for _ in range(20):
        Garbage()
    gc.set_threshold(1)
    await reply(send, b"")


@case
async def cancelled(scope, receive, send):
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        LOG.append("cancelled")
        raise


@case
async def cleans_up(scope, receive, send):
    """Takes its time to end, and an exception that is not quiet either."""
    gate = new_gate()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await gate.wait()
        try:
            await send({"type": "http.response.start", "status": 200})
        except OSError as error:
            LOG.append(str(error))
        LOG.append("cleaned up")


@case
async def background(scope, receive, send):
    """Goes on after the response until /open_gate."""
    gate = new_gate()
    await reply(send, b"early")
    await gate.wait()
    LOG.append("background done")


@case
async def collectable(scope, receive, send):
    """Only the server holds this task: a collection must not take it."""
    await asyncio.get_running_loop().create_future()


@case
async def collect(scope, receive, send):
    gc.collect()
    await reply(send, b"")


@case
async def exit(scope, receive, send):
    sys.exit(7)


@case
async def exit_later(scope, receive, send):
    await asyncio.sleep(0)
    sys.exit(7)


class Ending(BaseException):
    """What neither asyncio nor an application's `except Exception` catches."""


@case
async def raise_base(scope, receive, send):
    raise Ending("of all")
