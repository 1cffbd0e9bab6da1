"""Handlers of TCP connections, for awaitd and, in test_like_asyncio.py, for asyncio.start_server() as well."""

import asyncio
import os
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from typing import Any

KEPT: set[StreamWriter] = set()
SCOPES: list[Any] = []


async def echo(reader: StreamReader, writer: StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()


async def pid(reader: StreamReader, writer: StreamWriter) -> None:
    """Echo with the worker's pid in front of every line."""
    async for line in reader:
        writer.write(b"%d " % os.getpid() + line)
        await writer.drain()


async def names(reader: StreamReader, writer: StreamWriter) -> None:
    writer.write(repr((writer.get_extra_info("peername"), writer.get_extra_info("sockname"))).encode())


async def raises(reader: StreamReader, writer: StreamWriter) -> None:
    writer.write(await reader.readline())
    raise RuntimeError("as it should")


async def lost(reader: StreamReader, writer: StreamWriter) -> None:
    """Say what a client that vanishes looks like."""
    writer.write(b"ready\n")
    try:
        await reader.readline()
    except ConnectionResetError as error:
        print(f"lost: {error}, {reader.exception()!r}, {reader.at_eof()}, {writer.is_closing()}", flush=True)
    raise ConnectionResetError("nobody wants to read this")


async def floods(reader: StreamReader, writer: StreamWriter) -> None:
    """Send for ever; say how much was taken when the client has left."""
    sent = 0
    try:
        while True:
            writer.write(bytes(100_000))
            sent += 100_000
            if sent == 100_000:
                writer.write(b"x")
            await writer.drain()
    except ConnectionResetError:
        print(f"flooded {sent}", flush=True)


GATE = asyncio.Event()


async def deaf(reader: StreamReader, writer: StreamWriter) -> None:
    """Read nothing until somebody opens the gate, then count."""
    await GATE.wait()
    writer.write(b"%d" % len(await reader.read()))


async def opens(reader: StreamReader, writer: StreamWriter) -> None:
    GATE.set()


def plain(reader: StreamReader, writer: StreamWriter) -> None:
    """No coroutine: a task of the handler's own goes on with the connection."""
    task = asyncio.get_running_loop().create_task(echo(reader, writer))
    KEPT.add(writer)
    task.add_done_callback(lambda _: KEPT.discard(writer))


async def leaves(reader: StreamReader, writer: StreamWriter) -> None:
    """Return, and have others write: who is last to let go of the writer closes the connection."""
    KEPT.add(writer)
    writer.write(b"kept\n")


async def tells(reader: StreamReader, writer: StreamWriter) -> None:
    """Have everybody that `leaves` has left hear a line, and let go of them."""
    line = await reader.readline()
    for kept in KEPT:
        kept.write(line)
    KEPT.clear()


async def upload(reader: StreamReader, writer: StreamWriter) -> None:
    """Answer after the end of what the client sends."""
    writer.write(b"%d" % len(await reader.read()))


async def aborts(reader: StreamReader, writer: StreamWriter) -> None:
    writer.write(b"x" * 10)
    await reader.readline()
    writer.transport.abort()
    print(f"aborted: {writer.is_closing()}, {await reader.read()!r}", flush=True)


async def asgi(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """An ASGI application: HTTP, and TCP if an address leads here. Tells events back."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": repr(SCOPES).encode()})
        return
    if scope["type"] != "tcp":
        raise NotImplementedError
    SCOPES.append(sorted(scope))
    while (event := await receive())["type"] == "tcp.receive":
        await send({"type": "tcp.send", "data": repr((event["data"], event["more"])).encode()})
        if event["data"] == b"close":
            await send({"type": "tcp.close"})
        if event["data"] == b"eof":
            await send({"type": "tcp.send", "more": False})
        if event["data"] == b"raise":
            await send({"type": "tcp.send", "data": "text"})
    SCOPES.append(event)


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [b""]


async def three_too_many(a: object, b: object, c: object, d: object, e: object) -> None: ...


async def lab(reader: StreamReader, writer: StreamWriter) -> None:
    """Run the experiment that the first line names, and send what came of it."""
    name = (await reader.readline()).decode().strip()
    result = await EXPERIMENTS[name](reader, writer)
    if not writer.is_closing() and result is not None:
        writer.write(repr(result).encode())
    writer.close()
    await writer.wait_closed()


Experiment = Callable[[StreamReader, StreamWriter], Awaitable[Any]]
LEFT: list[Any] = []  # what could not be sent any more
EXPERIMENTS: dict[str, Experiment] = {}


def experiment(function: Experiment) -> Experiment:
    EXPERIMENTS[function.__name__] = function
    return function


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """The result, or what tells the exception."""
    try:
        return await awaitable
    except Exception as error:
        described: tuple[Any, ...] = (type(error).__name__, str(error))
        if isinstance(error, asyncio.IncompleteReadError):
            described += (error.partial, error.expected)
        if isinstance(error, asyncio.LimitOverrunError):
            described = (type(error).__name__,)
        return described


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        return type(error).__name__, str(error)


@experiment
async def lines(reader: StreamReader, writer: StreamWriter) -> Any:
    return [await reader.readline() for _ in range(6)]


@experiment
async def iteration(reader: StreamReader, writer: StreamWriter) -> Any:
    return [line async for line in reader]


@experiment
async def whole(reader: StreamReader, writer: StreamWriter) -> Any:
    data = await reader.read()
    return len(data), hash(data) == hash(bytes(len(data))), reader.at_eof(), await reader.read(), await reader.read(5)


@experiment
async def exactly(reader: StreamReader, writer: StreamWriter) -> Any:
    return [await outcome(reader.readexactly(n)) for n in (3, 0, 1, 4, 100_000, 7, 5)]


@experiment
async def until(reader: StreamReader, writer: StreamWriter) -> Any:
    separators = (b"\n", b"\r\n", b"\r\n", b"abab", b"long separator", b"never")
    return [await outcome(reader.readuntil(separator)) for separator in separators] + [await reader.read()]


@experiment
async def some(reader: StreamReader, writer: StreamWriter) -> Any:
    """What read(n) gives when everything is here."""
    line = await reader.readline()
    writer.write(b"go on\n")
    data = b""
    while part := await reader.read(7):
        assert len(part) <= 7
        data += part
    return line, data, await reader.read(0), await reader.read(-1)


@experiment
async def mixed(reader: StreamReader, writer: StreamWriter) -> Any:
    """Each way of reading leaves what it did not take to the next."""
    return [
        await reader.readexactly(2),
        await reader.readline(),
        await reader.readuntil(b";"),
        await reader.readexactly(70_000),
        await reader.readline(),
        await outcome(reader.readuntil(b"?")),
        await reader.readline(),
        reader.at_eof(),
    ]


@experiment
async def too_long(reader: StreamReader, writer: StreamWriter) -> Any:
    """A line that is longer than the limit is an error, and what follows it is read."""
    first = await outcome(reader.readline())
    writer.write(b"told\n")
    rest = await reader.readuntil(b"end of it\n")
    return first, rest[-10:], await reader.readline()


@experiment
async def overrun(reader: StreamReader, writer: StreamWriter) -> Any:
    """readuntil() leaves what was too long."""
    first = await outcome(reader.readuntil(b"!"))
    return first, await outcome(reader.readexactly(100_000)) == b"x" * 100_000, await reader.read()


@experiment
async def wrong_arguments(reader: StreamReader, writer: StreamWriter) -> Any:
    return [
        await outcome(call())
        for call in (
            lambda: _await(lambda: reader.readexactly(-1)),
            lambda: _await(lambda: reader.readuntil(b"")),
        )
    ] + [
        attempt(writer.write, "text")[0],
        attempt(writer.write, None)[0],
        attempt(writer.writelines, ["text"])[0],
        attempt(writer.writelines, 5)[0],
    ]


async def _await(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


@experiment
async def two_at_once(reader: StreamReader, writer: StreamWriter) -> Any:
    first = asyncio.create_task(reader.readline())  # type: ignore[arg-type]
    await asyncio.sleep(0)
    second = [
        await outcome(_await(call))
        for call in (reader.readline, lambda: reader.readexactly(5), lambda: reader.read(5), reader.read)
    ]
    writer.write(b"go on\n")
    return second, await first


@experiment
async def cancelled(reader: StreamReader, writer: StreamWriter) -> Any:
    """A read that was cancelled has lost nothing."""
    tried = await outcome(asyncio.wait_for(reader.readexactly(10), 0.01))
    writer.write(b"go on\n")
    return tried[0], await reader.readexactly(10)


@experiment
async def another_separator(reader: StreamReader, writer: StreamWriter) -> Any:
    """What one read has looked at in vain is looked at by the next for something else."""
    begun = await reader.readexactly(1)
    tried = [await outcome(asyncio.wait_for(reader.readuntil(b"never"), 0.01)) for _ in range(2)]
    writer.write(b"tried\n")
    return begun, [result[0] for result in tried], await reader.readline(), await reader.readuntil(b";")


@experiment
async def writing(reader: StreamReader, writer: StreamWriter) -> Any:
    writer.write(b"")
    writer.write(b"bytes ")
    writer.write(bytearray(b"bytearray "))
    writer.write(memoryview(b"-memoryview-")[1:-1])
    writer.writelines([b" a", bytearray(b"b"), memoryview(b"c")])
    writer.writelines([])
    before = writer.can_write_eof(), writer.is_closing()
    await writer.drain()
    writer.write_eof()
    writer.write_eof()
    after = attempt(writer.write, b"more"), writer.is_closing(), await reader.readline()
    writer.close()
    writer.close()
    LEFT[:] = [before, after, writer.is_closing()]
    return None


@experiment
async def left(reader: StreamReader, writer: StreamWriter) -> Any:
    return LEFT or None


@experiment
async def closing(reader: StreamReader, writer: StreamWriter) -> Any:
    """What is written before close() arrives; after it nothing is read or sent."""
    writer.write(b"y" * 3_000_000)
    writer.close()
    writer.write(b"dropped")
    return None


@experiment
async def about(reader: StreamReader, writer: StreamWriter) -> Any:
    writer.transport.set_write_buffer_limits(high=5)
    return [
        isinstance(reader, StreamReader),
        isinstance(writer, StreamWriter),
        isinstance(writer.transport, asyncio.Transport),
        writer.get_extra_info("nothing of the kind"),
        writer.get_extra_info("nothing of the kind", 5),
        writer.get_extra_info("sslcontext"),
        len(writer.get_extra_info("peername")),
        writer.transport.get_extra_info("peername") == writer.get_extra_info("peername"),
        writer.transport.is_closing(),
        writer.transport.can_write_eof(),
        writer.transport.get_write_buffer_size(),
        reader.exception(),
        reader.at_eof(),
    ]


@experiment
async def wrapped(reader: StreamReader, writer: StreamWriter) -> Any:
    """Reads as tasks, with a timeout, and gathered with others."""
    first = await asyncio.wait_for(reader.readline(), 5)
    second, third = await asyncio.gather(reader.readline(), asyncio.sleep(0, "third"))
    fourth = await asyncio.shield(reader.readline())
    return first, second, third, fourth


class Datagrams(asyncio.DatagramProtocol):
    """Echo; some datagrams ask for something else."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.resumed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        assert isinstance(transport, asyncio.DatagramTransport)
        assert asyncio.get_running_loop().is_running()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        send = self.transport.sendto
        match data.partition(b" ")[0]:
            case b"pid":
                send(b"%d" % os.getpid(), addr)
            case b"names":
                send(repr((addr, self.transport.get_extra_info("sockname"))).encode(), addr)
            case b"raises":
                raise RuntimeError("as it should")
            case b"later":
                asyncio.get_running_loop().call_soon(send, b"late", addr)
            case b"many":
                for n in range(int(data[5:])):
                    send(b"%05d" % n, addr)
            case b"flood":
                for n in range(200):
                    send(bytes(8000) + b"%03d" % n, addr)
                print(f"waiting: {self.transport.get_write_buffer_size() > 0}", flush=True)
            case b"nowhere":
                send(b"", ("255.255.255.255", 9, 0, 0))
                self.asker = addr
            case b"long":
                self.asker = addr
                send(bytes(65508), addr)
            case b"wrong":
                send(b" ".join(map(self.wrong, (("localhost", 1), ("1.2.3.4", 70000), 7, None))), addr)
            case b"close":
                self.transport.close()
                send(b"never", addr)
            case _:
                send(data, addr=addr)

    def wrong(self, addr: Any) -> bytes:
        try:
            self.transport.sendto(b"x", addr)
        except Exception as error:
            return type(error).__name__.encode()
        return b"nothing"

    def error_received(self, exc: Exception) -> None:
        assert isinstance(exc, OSError)
        self.transport.sendto(f"{type(exc).__name__} {exc.errno}".encode(), self.asker)

    def pause_writing(self) -> None:
        print("paused", flush=True)

    def resume_writing(self) -> None:
        print("resumed", flush=True)

    def connection_lost(self, exc: Exception | None) -> None:
        print(f"datagrams lost: {exc}, {self.transport.is_closing()}", flush=True)


async def udp(scope: Any, receive: Any, send: Any) -> None:
    """The same as an ASGI application; it says what it was given."""
    print(f"udp scope {scope}", flush=True)
    while (message := await receive())["type"] == "udp.receive":
        if message["data"] == b"raises":
            raise RuntimeError("as it should")
        if message["data"] == b"returns":
            return
        await send({"type": "udp.send", "data": message["data"].upper(), "client": message["client"]})
    print(f"udp end {message} {await receive()}", flush=True)
