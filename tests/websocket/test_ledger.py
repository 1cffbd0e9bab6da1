"""No message is lost, doubled, changed or out of order, whatever the stalls, the sizes, the fragments and the codec."""

import asyncio
import random
import threading
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect

from harness import Server, StartServer, eventually
from rawsocket import BINARY, PING, PONG, TEXT, WebSocket, frame

HERE = Path(__file__).parent
SEEDS = range(4)


def size(random_: random.Random) -> int:
    """Mostly small, some around the borders of frames, windows and rings, a few large."""
    return random_.choice(
        [
            random_.randrange(200),
            random_.randrange(200),
            random_.randrange(5000),
            random_.choice([125, 126, 127, 4096, 65_519, 65_520, 65_535, 65_536, 65_537]),
            random_.randrange(300_000),
        ]
    )


def body(random_: random.Random, n: int, length: int) -> str | bytes:
    if random_.random() < 0.5:
        return f"{n}:" + "aü€😀"[random_.randrange(4)] * (length // 3)
    return n.to_bytes(4) + random_.randbytes(length)


def fragments(random_: random.Random, message: str | bytes) -> list[bytes]:
    """The frames of a message: one, or as many as chance will have it, cut within characters, with pings between."""
    data = message.encode() if isinstance(message, str) else message
    cuts = sorted(random_.randrange(len(data) + 1) for _ in range(random_.choice([0, 0, 0, 1, 5])))
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    frames = []
    for i, part in enumerate(parts):
        opcode = 0 if i else TEXT if isinstance(message, str) else BINARY
        frames.append(frame(opcode, part, fin=i == len(parts) - 1))
        if random_.random() < 0.1:
            frames.append(frame(PING, b"?"))
    return frames


def messages_of(s: WebSocket, random_: random.Random, n: int) -> list[str | bytes]:
    """n messages, read with stalls; pongs are left out."""
    found: list[str | bytes] = []
    while len(found) < n:
        if random_.random() < 0.05:
            threading.Event().wait(random_.random() / 50)
        first = s.frame()
        if first.opcode == PONG:
            continue
        whole, last = first.payload, first
        while not last.fin:
            last = s.frame()
            whole += last.payload if last.opcode != PONG else b""
            last.fin = last.fin and last.opcode != PONG
        found.append(whole.decode() if first.opcode == TEXT else whole)
    return found


# spec: websocket 3
@pytest.mark.parametrize("seed", SEEDS)
def test_raw(server: Server, seed: int) -> None:
    random_ = random.Random(seed)
    sent = [body(random_, n, size(random_)) for n in range(300)]
    wire = b"".join(b"".join(fragments(random_, message)) for message in sent)
    with WebSocket(server, f"/echo?note=raw{seed}") as s:

        def write() -> None:
            writes, at = random.Random(seed + 1000), 0
            while at < len(wire):
                step = writes.choice([1, 7, 1000, 100_000, 1_000_000])
                s.raw(wire[at : at + step])
                at += step
                if writes.random() < 0.05:
                    threading.Event().wait(writes.random() / 50)

        writer = threading.Thread(target=write)
        writer.start()
        received = messages_of(s, random.Random(seed + 2000), len(sent))
        writer.join()
        for n, (a, b) in enumerate(zip(received, sent, strict=True)):
            assert a == b, f"message {n} of {len(b)}: {a[:20]!r} of {len(a)}"
        s.close()
        assert s.frame().opcode == 8 or s.closed()
    server.wait_for(f"raw{seed}: 1000 ")


async def both_ways(client: ClientConnection, seed: int, n: int, most: int) -> None:
    """The application tells its own numbered messages while it echoes: each kind must come in its order, and whole."""
    random_ = random.Random(seed)
    sent = [f"{i}:" + "é" * size(random_) for i in range(n)]

    async def write() -> None:
        for message in sent:
            if random_.random() < 0.3:  # in fragments of the client's
                third = len(message) // 3
                await client.send([message[:third], message[third : 2 * third], message[2 * third :]])
            else:
                await client.send(message)
            if random_.random() < 0.1:
                await asyncio.sleep(random_.random() / 20)

    writing = asyncio.create_task(write())
    told = echoed = 0
    while told < n or echoed < n:
        message = await client.recv()
        if isinstance(message, str):
            assert message == sent[echoed]
            echoed += 1
        else:
            assert message[:4] == told.to_bytes(4)
            assert message[4:] == bytes((told * 37) % most)
            told += 1
        if random_.random() < 0.05:
            await asyncio.sleep(random_.random() / 20)
    await writing


# spec: websocket 3
# spec: websocket 10
@pytest.mark.parametrize(
    "options", [(), ("--ws-context-takeover", "--workers", "2"), ("--ws-max-queue", "1", "--reactors", "2")]
)
def test_many_real_clients_both_ways(start_server: StartServer, options: tuple[str, ...]) -> None:
    server = start_server("app:app", HERE, "--no-access-log", *options)

    async def one(seed: int) -> None:
        target = f"{server.url.replace('http', 'ws')}/both?note=client{seed}&messages=120&most=20000"
        compression = "deflate" if seed % 2 else None
        async with connect(target, compression=compression, max_size=None, ping_interval=None) as client:
            await asyncio.wait_for(both_ways(client, seed, 120, 20_000), 60)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(seed) for seed in range(12)))

    asyncio.run(all_of_them())
    eventually(lambda: server.stderr.text().count(": 1000 ''") == 12)


# spec: websocket 10
def test_a_thousand_that_come_and_go(start_server: StartServer) -> None:
    server = start_server("app:app", HERE, "--no-access-log", "--workers", "2")

    async def one(n: int) -> None:
        async with connect(f"{server.url.replace('http', 'ws')}/echo?note=crowd", compression=None) as client:
            for text in (f"{n} a", f"{n} b"):
                await client.send(text)
                assert await client.recv() == text

    async def crowd() -> None:
        for start in range(0, 1000, 100):
            await asyncio.gather(*(one(n) for n in range(start, start + 100)))

    asyncio.run(crowd())
    eventually(lambda: server.stderr.text().count("crowd: 1000 ''") == 1000)
