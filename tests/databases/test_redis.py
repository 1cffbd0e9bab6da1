"""The board's live channel over Redis: its workers, and those of another server, tell each other."""

from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from engines import Postgres, Redis
from harness import Server, StartServer, eventually
from test_board_databases import BOARD, GRACE, NewDatabase, live, post

SOON = 6  # seconds of patience: with Redis a worker that is not told looks after 10 only


@pytest.fixture
def boards(
    start_server: StartServer, postgres: Postgres, new_database: NewDatabase, redis: Redis, tmp_path: Path
) -> tuple[Server, Server]:
    """One server with two workers, and one with one, by asyncpg and by SQLAlchemy, on one database."""
    name = new_database()
    env = {"BOARD_DATA": str(tmp_path), "BOARD_REDIS": redis.url, "BOARD_POOL": "2"}
    first = start_server("main:app", BOARD, "--workers", "2", *GRACE, **env, DATABASE_URL=postgres.url(name))
    second = start_server("main:app", BOARD, *GRACE, **env, DATABASE_URL=postgres.url(name, "postgresql+asyncpg"))
    eventually(lambda: redis.subscribers("board:message") == 3)
    return first, second


# spec: jobs 7
def test_readers_of_all_workers_and_servers_are_told_also_after_redis_was_away(
    boards: tuple[Server, Server], redis: Redis
) -> None:
    first, second = boards
    clients = [httpx.Client(base_url=board.url, timeout=15) for board in boards]
    newest = post(clients[0], "the newest so far")["id"]
    with ExitStack() as open_:
        # The server gives a stream to the worker with the fewest: each worker has one.
        readers = [open_.enter_context(live(board, newest, SOON)) for board in (first, first, second)]

        def all_hear(why: str) -> None:
            posted = [post(client, why)["id"] for client in clients]
            for reader in readers:
                assert [next(reader) for _ in posted] == posted, why

        all_hear("told by Redis")
        redis.stop()
        first.wait_for("Redis does not answer, so new messages are looked for")
        all_hear("looked for")
        redis.start()
        eventually(lambda: redis.subscribers("board:message") == 3)
        all_hear("told again")
    for client in clients:
        client.close()


# spec: jobs 7
def test_a_redis_that_is_down_does_not_keep_the_board_from_starting(
    start_server: StartServer, tmp_path: Path, redis: Redis
) -> None:
    redis.stop()
    try:
        board = start_server("main:app", BOARD, *GRACE, BOARD_DATA=str(tmp_path), DATABASE_URL="", BOARD_REDIS=redis.url)
        with httpx.Client(base_url=board.url) as client, live(board, 0) as reader:
            posted = post(client, "alone")["id"]
            assert next(reader) == posted
    finally:
        redis.start()
