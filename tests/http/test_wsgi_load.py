"""Everything at once on many threads: bodies both ways, files, clients that leave. Nobody hangs, and nothing stays open."""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from harness import StartServer, descriptors, eventually, family
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
SEED = 3333
CLIENTS, ROUNDS = 12, 60
FILE = 1 << 20


def hello(connection: Connection, dice: random.Random) -> None:
    connection.send("GET /hello HTTP/1.1\r\nhost: a\r\n\r\n" * 10)
    assert [connection.response().body for _ in range(10)] == [b"hello"] * 10


def upload(connection: Connection, dice: random.Random) -> None:
    size = dice.randrange(1, 400_000)
    connection.request("POST", "/count", b"x" * size)
    assert json.loads(connection.response().body)[0] == size


def both_ways(connection: Connection, dice: random.Random) -> None:
    connection.request("POST", "/read_and_write", b"z" * 100_000)
    assert connection.response().body == b"y" * 1_000_000 + b" 100000"


def leave(connection: Connection, dice: random.Random) -> None:
    dice.choice([connection.close, connection.reset])()


def leave_a_response(path: str, connection: Connection, dice: random.Random) -> None:
    connection.request("GET", path).head()
    connection.read(dice.randrange(1, 300_000))
    leave(connection, dice)


def leave_an_upload(connection: Connection, dice: random.Random) -> None:
    connection.send("POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n" + "x" * dice.randrange(99_999))
    leave(connection, dice)


def whole_file(path: str, connection: Connection, dice: random.Random) -> None:
    assert connection.get(path).body == bytes(FILE)


# spec: wsgi 10
# spec: wsgi 12
@pytest.mark.parametrize(("threads", "workers"), [("8", "1"), ("3", "2"), ("1", "2")])
def test_everything_at_once(start_server: StartServer, tmp_path: Path, threads: str, workers: str) -> None:
    server = start_server("wsgi_cases:app", HERE, "--no-access-log", "--threads", threads, "--workers", workers)
    (tmp_path / "file").write_bytes(bytes(FILE))
    file = f"/whole?path={tmp_path}/file"
    what: list[Callable[[Connection, random.Random], None]] = [
        hello,
        upload,
        both_ways,
        leave_an_upload,
        partial(whole_file, file),
        partial(leave_a_response, file + "&iterated=1"),
        partial(leave_a_response, "/endless?x"),
        partial(leave_a_response, "/endless_written?x"),
    ]
    pids = family(server.pid)
    before = [descriptors(pid) for pid in pids]

    def client(number: int) -> None:
        dice = random.Random(SEED + number)
        for _ in range(ROUNDS):
            with Connection(server, timeout=30) as connection:
                dice.choice(what)(connection, dice)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))
    fetch(server, "/log")
    assert family(server.pid) == pids
    eventually(lambda: all(now <= then + 2 for now, then in zip(map(descriptors, pids), before, strict=True)))
    assert "Traceback" not in server.output()
