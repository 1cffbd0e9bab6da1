"""WebSocket applications that do what they should not: from inside a call, from several tasks, with values that run code."""

from __future__ import annotations

import asyncio
import gc
import mmap
import resource
import sys
from pathlib import Path

from websocket import LOG, accept, app, case, error_of, refusal, text

__all__ = ["app"]


@case
async def big_then_receives(scope, receive, send):
    await accept(receive, send)
    LOG.append(await error_of(lambda: text(send, "x" * int(scope["query_string"]))))
    LOG.append(await receive())


@case
async def awaited_twice(scope, receive, send):
    """Two tasks await the same awaitable, of receive() and of send()."""
    await accept(receive, send)
    for one in (receive(), send({"type": "websocket.send", "text": "x" * 1000})):

        async def wait(one=one):
            return await one

        tasks = [asyncio.create_task(wait()) for _ in range(2)]
        await asyncio.sleep(0)
        LOG.append("both wait")
        LOG.append([repr(result) for result in await asyncio.gather(*tasks, return_exceptions=True)])


@case
async def own_list(scope, receive, send):
    """Changes the list of what the client offers."""
    await receive()
    scope["subprotocols"].append("x" * 70_000)
    LOG.append((await refusal(send, {"type": "websocket.accept", "subprotocol": "x" * 70_000}))[-40:])
    scope["subprotocols"].clear()
    await send({"type": "websocket.accept", "subprotocol": "one"})
    await text(send, "accepted")


@case
async def comparison_that_accepts(scope, receive, send):
    class Text(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            LOG.append("compared")
            scope.clear()
            send({"type": "websocket.accept"})
            return False

    await receive()
    LOG.append(await refusal(send, {"type": "websocket.accept", "subprotocol": Text("one")}))
    await text(send, "accepted")


class Key:
    """A key that is looked at in the search for another, and then empties its message."""

    def __init__(self, message, other):
        self.message, self.hash = message, hash(other)

    def __hash__(self):
        return self.hash

    def __eq__(self, other):
        self.message.clear()
        gc.collect()
        return False


def emptied(other, **message):
    message[Key(message, other)] = None
    return message


@case
async def keys_that_empty_the_message(scope, receive, send):
    """The values that were found before are then those of nobody else."""
    await receive()
    offered = "".join(["o", "ne"])
    await send(emptied("headers", type="websocket.accept", subprotocol=offered))
    del offered
    await send(emptied("bytes", type="websocket.send", text="".join(["te", "xt"])))
    await send(emptied("reason", type="websocket.close", code=int("4000")))


@case
async def buffer_that_sends(scope, receive, send):
    """From Python 3.12 on a buffer may be made by code. What it does in the meantime counts."""

    class Buffer:
        def __init__(self, *messages):
            self.messages = messages

        def __buffer__(self, flags):
            for message in self.messages:
                send(message)
            return memoryview(b"of the buffer")

    await accept(receive, send)
    close = {"type": "websocket.close", "code": 4000}
    await send({"type": "websocket.send", "bytes": Buffer({"type": "websocket.send", "text": "before"})})
    LOG.append(await refusal(send, {"type": "websocket.send", "bytes": Buffer(close)}))


@case
async def body_that_sends(scope, receive, send):
    """The same for a denial: a flag whose truth is code."""

    class Flag:
        def __bool__(self):
            send({"type": "websocket.http.response.body", "body": b"of the flag"})
            return False

    await receive()
    await send({"type": "websocket.http.response.start", "status": 401})
    LOG.append(await refusal(send, {"type": "websocket.http.response.body", "body": b"late", "more_body": Flag()}))


@case
async def no_memory(scope, receive, send):
    """A message of which half has been sent, when there is no memory to keep the rest."""
    await accept(receive, send)
    huge = mmap.mmap(-1, 1 << 30)  # takes no memory unless it is copied
    (size,) = (int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmSize" in line)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, ((size << 10) + (256 << 20), limits[1]))
    try:
        LOG.append(await refusal(send, {"type": "websocket.send", "bytes": huge}))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    LOG.append(await error_of(lambda: text(send, "more")))
    LOG.append(await receive())


@case
async def steps_itself(scope, receive, send):
    """The coroutine of a task is there for everyone to take hold of."""
    await accept(receive, send)
    task = asyncio.current_task()
    assert task is not None
    own = task.get_coro()
    assert own is not None
    for step in (lambda: own.send(None), lambda: own.throw(KeyError("x")), lambda: next(own), own.close):
        try:
            LOG.append(step())
        except Exception as error:
            LOG.append(f"{type(error).__name__}: {error}")
    await text(send, "alive")
    await text(send, (await receive())["text"])


@case
async def several_senders(scope, receive, send):
    """Each sends messages of its own, of many sizes."""
    await accept(receive, send)

    async def talk(name):
        for n in range(20):
            await text(send, f"{name} {n} " + name * (n * 211 % 3000))

    await asyncio.gather(*(talk(name) for name in "abcdef"))
    LOG.append("sent")


@case
async def closes_while_others_send(scope, receive, send):
    await accept(receive, send)
    senders = [asyncio.create_task(text(send, name * 1000)) for name in "ab"]
    await asyncio.sleep(0)

    async def close(code):
        await send({"type": "websocket.close", "code": code})

    closers = [asyncio.create_task(close(4000 + n)) for n in range(2)]
    late = asyncio.create_task(text(send, "late"))
    await asyncio.sleep(0)
    LOG.append("closing")
    done = await asyncio.gather(*senders, *closers, late, return_exceptions=True)
    LOG.append([type(one).__name__ for one in done])


class Dying:
    """Its end calls what it was given, whenever that is."""

    def __init__(self, *calls):
        self.calls, self.me = calls, self  # only a collection finds it

    def __del__(self):
        for call in self.calls:
            call()


@case
async def ends_of_objects_that_send(scope, receive, send):
    """Collections happen wherever something is allocated: also in receive() and send()."""
    await accept(receive, send)
    died = []

    def echo():
        receive().close()
        send({"type": "websocket.send", "bytes": b"dying"})
        died.append(1)

    gc.set_threshold(1, 1, 1)
    try:
        while (message := await receive())["type"] == "websocket.receive" and message["text"] != "end":
            Dying(echo)
            await send({"type": "websocket.send", "text": message["text"]})
    finally:
        gc.set_threshold(700, 10, 10)
    gc.collect()
    await text(send, f"{len(died)} have died")


@case
async def ends_of_objects_at_the_end(scope, receive, send):
    """What an application leaves behind, by an exception with its frame, sends when all is over; and raises."""
    await accept(receive, send)
    left = Dying(lambda: send({"type": "websocket.send", "text": "after all"}))
    left.me = None
    raise ValueError("the end")


def alive():
    gc.collect()
    kinds = [type(one).__name__ for one in gc.get_objects()]
    return [kinds.count("Exchange"), kinds.count("Wait")]


@case
async def count_objects(scope, receive, send):
    await accept(receive, send)
    for _ in range(5):  # turns, for tasks that are about to end
        await asyncio.sleep(0)
    await text(send, alive())


@case
async def holds_itself(scope, receive, send):
    """receive() and send(), in use, in a cycle with what uses them."""

    class Connection:
        def __init__(self):
            self.receive, self.send, self.me = receive, send, self
            self.waits = [receive() for _ in range(3)]

    connection = Connection()
    await connection.receive()
    await connection.send({"type": "websocket.accept"})
    connection.task = asyncio.create_task(connection.receive())
    await asyncio.sleep(0)
    if scope["query_string"] == b"raises":
        raise ValueError(connection)
    connection.task.cancel()


@case
async def mistakes_for_ever(scope, receive, send):
    """Each wrong message many times over: how many references to its values, and blocks of memory, that has left behind."""
    offered, reason, name = "o" * 40, "r" * 200, b"n\n" + b"n" * 40
    wrong = [
        {"type": "websocket.accept", "subprotocol": offered},
        {"type": "websocket.accept", "subprotocol": 7, "headers": [(name, name)]},
        {"type": "websocket.accept", "headers": [(name, name)]},
        {"type": "websocket.accept", "headers": [(b"sec-websocket-x", name[2:])]},
        {"type": "websocket.close", "code": reason, "reason": "x"},
        {"type": "websocket.close", "code": 1, "reason": reason},
        {"type": "websocket.close", "reason": name},
        {"type": "websocket.send", "text": offered, "bytes": name},
        {"type": "websocket.send", "text": name},
        {"type": "websocket.send", "bytes": offered},
        {"type": "websocket.send", "bytes": memoryview(name)[::2]},
        {"type": "websocket.send", "text": reason + "\udc80"},
        {"type": "websocket.http.response.start", "status": reason},
        {"type": "websocket.http.response.start", "status": 200, "headers": [(name, name)]},
        {"type": offered},
    ]
    await receive()
    left = []
    for accepted in (False, True):
        if accepted:
            await send({"type": "websocket.accept"})
        for message in wrong:
            left.append(await cost(send, message, (offered, reason, name)))
    await text(send, left)


async def cost(send, message, values):
    async def often(times):
        for _ in range(times):
            try:
                await send(message)
            except Exception:
                continue
            raise AssertionError(message)

    await often(50)
    gc.collect()
    references, blocks = [sys.getrefcount(value) for value in values], sys.getallocatedblocks()
    await often(500)
    gc.collect()
    return [*map(int.__sub__, [sys.getrefcount(value) for value in values], references), lost(blocks)]


def lost(blocks):
    """Not counted: what has to do with the wrong messages' exceptions once, not each time."""
    return max(0, sys.getallocatedblocks() - blocks - 50)


@case
async def huge(scope, receive, send):
    """Says how long a message was, and sends one of that length."""
    await accept(receive, send)
    message = await receive()
    await send({"type": "websocket.send", "text": message["text"][::-1]})
