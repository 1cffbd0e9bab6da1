"""A real PostgreSQL, with the tables of TechEmpower's benchmarks, and the application that asks it."""

import asyncio
import importlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import postgres
import procs
from rows import DATA, ROWS

DATABASE_ROWS = [row for row in ROWS.values() if row.database]

pytestmark = pytest.mark.skipif(not postgres.BINARIES, reason="PostgreSQL is not installed")


def test_replies_are_what_the_rows_expect_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DATA.parent))
    with postgres.running() as database:
        before = database.usage()
        monkeypatch.setenv("BENCH_DATABASE", database.url)
        app = importlib.import_module("techempower").app
        answers, drawn = asyncio.run(asked(app))
        assert procs.growth(before, database.usage()) >= 0
        pids = {key[0] for key in before}
    for row, answer in zip(DATABASE_ROWS, answers, strict=True):
        assert answer == (DATA / row.request.expect).read_bytes(), row.name
    assert [len(json.loads(body)) for body in drawn[1:3]] == [20, 20]
    assert len({number["id"] for number in json.loads(drawn[1])}) == 20
    assert not [p for p in procs.running() if p.pid in pids]
    assert not Path(database.url.partition("host=")[2].partition("&")[0]).exists()


def test_the_page_is_sorted_and_escaped() -> None:
    page = (DATA / ROWS["fortunes"].request.expect).read_text()
    assert "&lt;script&gt;alert(" in page
    assert page.index("Additional fortune") < page.index("フレームワークのベンチマーク")
    assert page.count("<tr>") == 14


def test_without_one_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "BINARIES", [])
    with pytest.raises(postgres.NoPostgres, match="apt-get install postgresql"), postgres.running():
        pass


async def asked(app: Any) -> tuple[list[bytes], list[bytes]]:
    """What the rows' verified requests, and then the rows' own, are answered, in one life of the application."""
    events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan"}, events.get, said.put))
    await events.put({"type": "lifespan.startup"})
    assert await said.get() == {"type": "lifespan.startup.complete"}
    requests = [row.request for row in DATABASE_ROWS]
    verified = [await body(app, request.verified or request.path) for request in requests]
    drawn = [await body(app, request.path) for request in requests]
    await events.put({"type": "lifespan.shutdown"})
    await life
    return verified, drawn


async def body(app: Any, target: str) -> bytes:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    parts = urlsplit(target)
    await app({"type": "http", "path": parts.path, "query_string": parts.query.encode()}, None, send)
    assert dict(sent[0]["headers"])[b"content-length"] == b"%d" % len(sent[1]["body"])
    found: bytes = sent[1]["body"]
    return found
