"""Handlers of TCP connections; each is a target of its own."""

import asyncio
import contextlib
import gc
import json
import weakref

KEPT = []


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()


async def large(reader, writer):
    writer.write(bytes(100_000))
    await writer.drain()
    writer.write_eof()
    await reader.read()


async def raises(reader, writer):
    raise RuntimeError("as it should")


async def aborts(reader, writer):
    writer.transport.abort()
    writer.write(b"nobody hears")
    await writer.wait_closed()


async def exactly(reader, writer):
    writer.write(b"%d" % len(await reader.readexactly(200_000)))


async def hazards(reader, writer):
    """Everything that is left lying about: awaitables that nobody awaits, reads that are cancelled, cycles."""
    reader.readline(), reader.read(5), reader.readexactly(3), reader.readuntil(b"ab"), writer.drain(), writer.wait_closed()
    task = asyncio.create_task(reader.readuntil(b"never"))
    await asyncio.sleep(0)
    task.cancel()
    for wait in (reader.readline(), reader.read(1)):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wait, 0)
    cycle = [reader, writer]
    cycle.append(cycle)
    reference = weakref.ref(writer)
    assert reference() is writer
    writer.write(await reader.readline())
    other = asyncio.create_task(reader.readline())
    await asyncio.sleep(0)
    KEPT.append(other)
    KEPT.append(reader)
    del cycle, writer
    gc.collect()


async def collects(reader, writer):
    """Lets go of what `hazards` has left, from inside a call of the reader's."""
    KEPT.clear()
    gc.collect()
    writer.write(b"collected")


async def self_await(reader, writer):
    wait = reader.readline()
    first = asyncio.ensure_future(wait)
    await asyncio.sleep(0)
    try:
        await wait
    except RuntimeError as error:
        writer.write(str(error).encode() + b"\n")
    writer.write(await first)


async def mail(scope, receive, send):
    """A session as ASGI has it: says back what it hears."""
    while (event := await receive())["type"] == "smtp.receive":
        await send({"type": "smtp.send", "text": repr(event)})
        if event.get("text") == "bad":
            await send({"type": "smtp.send", "text": b"bytes"})
    KEPT.append(event)


async def ordered(reader, writer):
    """Do the reads that the first line names, and say what came of each."""
    for name, argument in json.loads(await reader.readline()):
        call = {"exactly": reader.readexactly, "until": lambda s: reader.readuntil(s.encode()), "some": reader.read}
        try:
            data = await (reader.readline() if name == "line" else call[name](argument))
            told = [data.hex(), ""]
        except asyncio.IncompleteReadError as error:
            told = [error.partial.hex(), "incomplete"]
        except asyncio.LimitOverrunError:
            told = ["", "overrun"]
        except ValueError:
            told = ["", "too long"]
        writer.write(json.dumps(told).encode() + b"\n")
        await writer.drain()


async def secures(reader, writer):
    while said := await reader.readline():
        if said == b"what\n":
            what = repr(writer.get_extra_info("cipher")), writer.get_extra_info("tls")["client_cert_name"]
            writer.write(repr(what).encode() + b"\n")
            continue
        try:
            await writer.start_tls(None)
        except RuntimeError as error:
            writer.write(repr(error).encode() + b"\n")
        except ConnectionError as error:
            print(f"start_tls: {type(error).__name__}", flush=True)
            raise
