"""What becomes of a pool's connections: at start, reload, kill, end; when clients leave, and when one query is slow."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import httpx
import pytest

from asking import asking
from engines import Postgres
from harness import Server, StartServer, eventually, family
from test_board_databases import BOARD, SCHEMES, NewDatabase, post

HERE = Path(__file__).parent
POOL = 3


class Pooled:
    """The application of pooled.py with its server; `sessions` are its connections as PostgreSQL sees them."""

    def __init__(self, server: Server, postgres: Postgres, database: str, notes: Path) -> None:
        self.server, self.notes, self._postgres, self._database = server, notes, postgres, database
        self.url = server.url

    def sessions(self, worker: int | str = "%") -> list[int]:
        return self._postgres.sessions(f"pooled {worker}", self._database)

    def lock(self, key: int) -> "Lock":
        return Lock(self._postgres.url(self._database), key)

    def has_ended(self, sessions: int, abandoned: int = 0) -> None:
        """All its sessions together, once the last has written its part of the statistics."""
        eventually(lambda: self._postgres.ended(self._database) == (sessions, abandoned))

    def waiting(self) -> int:
        """Of its connections, those that wait for the test's lock."""
        query = "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'advisory'"
        return len(self._postgres.ask(query, self._database))

    def reload(self) -> None:
        self.server.stderr.clear()
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_for("reloaded after=")

    def noted(self, what: str) -> list[str]:
        return [line for line in self.notes.read_text().splitlines() if line.startswith(what)] if self.notes.exists() else []


StartPooled = Callable[..., Pooled]


@pytest.fixture(params=list(SCHEMES))
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def start_pooled(
    launch: StartServer, postgres: Postgres, new_database: NewDatabase, driver: str, tmp_path: Path
) -> StartPooled:
    def start(*options: str, pool: int = POOL) -> Pooled:
        database, notes = new_database(), tmp_path / "notes"
        env = {"URL": postgres.url(database), "DRIVER": driver, "NOTES": str(notes), "POOL": str(pool)}
        server = launch("pooled:app", "--app-dir", str(HERE), "--port", "0", *options, env=env)
        server.wait_ready()
        return Pooled(server, postgres, database, notes)

    return start


class Lock:
    """Holds an advisory lock, which requests wait for, on a connection of its own."""

    def __init__(self, url: str, key: int) -> None:
        self._url, self._key = url, key
        self._held, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._hold()))

    async def _hold(self) -> None:
        connection = await asyncpg.connect(self._url, server_settings={"application_name": "the test"})
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", self._key)
            self._held.set()
            await asyncio.to_thread(self._over.wait)
        finally:
            await connection.close()

    def __enter__(self) -> None:
        self._thread.start()
        assert self._held.wait(10)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


class TestLife:
    # spec: jobs 7
    @pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
    def test_a_pool_is_opened_once_for_each_worker_and_closed_once(self, start_pooled: StartPooled, preload: list[str]) -> None:
        pooled = start_pooled("--workers", "2", *preload)
        at_start = pooled.sessions()
        assert len(at_start) == 2 * POOL
        opened = sorted(int(line.split()[-1]) for line in pooled.noted("opened"))
        assert len(opened) == 2
        assert [len(pooled.sessions(worker)) for worker in opened] == [POOL, POOL]
        assert set(opened) <= set(family(pooled.server.pid))
        with asking(f"{pooled.url}/pid", 8) as asked:
            asked.wait_for(200, 200)
        assert set(asked.outcomes) == {200}
        assert pooled.sessions() == at_start, "the same connections as before"
        assert pooled.server.stop() == 0
        assert pooled.sessions() == []
        pooled.has_ended(2 * POOL)
        assert sorted(int(line.split()[-1]) for line in pooled.noted("closed")) == opened

    # spec: jobs 7
    def test_reloads_under_load_lose_no_request_and_leave_no_connection(self, start_pooled: StartPooled) -> None:
        pooled = start_pooled("--workers", "2")
        with asking(f"{pooled.url}/pid") as asked:
            for _ in range(3):
                asked.wait_for(200, 30)
                pooled.reload()
            asked.wait_for(200, 30)
        assert set(asked.outcomes) == {200}
        eventually(lambda: len(pooled.noted("closed")) == 6)
        assert len(pooled.sessions()) == 2 * POOL
        assert len(pooled.noted("opened")) == 8
        assert pooled.server.stop() == 0
        assert pooled.sessions() == []
        pooled.has_ended(8 * POOL)

    # spec: jobs 7
    def test_who_waits_for_the_database_in_a_reload_is_answered_by_the_old_pool(self, start_pooled: StartPooled) -> None:
        pooled = start_pooled()
        with ThreadPoolExecutor() as threads:
            with pooled.lock(701):
                slow = threads.submit(httpx.get, f"{pooled.url}/wait?lock=701", timeout=30)
                eventually(lambda: pooled.waiting() == 1)
                before = httpx.get(f"{pooled.url}/pid").json()[0]
                pooled.server.process.send_signal(signal.SIGHUP)
                after = eventually(lambda: (now := httpx.get(f"{pooled.url}/pid").json()[0]) != before and now)
                assert not slow.done()
                assert len(pooled.sessions(before)) == POOL, "the old pool is open as long as one needs it"
            assert (slow.result().status_code, slow.result().json()) == (200, before)
        eventually(lambda: not pooled.sessions(before))
        assert len(pooled.sessions(after)) == POOL

    # spec: jobs 7
    def test_a_killed_workers_connections_go_and_the_others_go_on(self, start_pooled: StartPooled) -> None:
        pooled = start_pooled("--workers", "2")
        one, other = (int(line.split()[-1]) for line in pooled.noted("opened"))
        kept = pooled.sessions(other)
        os.kill(one, signal.SIGKILL)
        eventually(lambda: not pooled.sessions(one))
        for _ in range(10):
            assert httpx.get(f"{pooled.url}/pid").status_code == 200
        eventually(lambda: len(pooled.noted("opened")) == 3)
        eventually(lambda: len(pooled.sessions()) == 2 * POOL)
        assert pooled.sessions(other) == kept
        assert pooled.server.stop() == 0
        pooled.has_ended(3 * POOL, abandoned=POOL)

    # spec: jobs 7
    def test_the_board_keeps_to_its_pool_over_reloads(
        self, launch: StartServer, postgres: Postgres, new_database: NewDatabase, tmp_path: Path, driver: str
    ) -> None:
        name = new_database()
        url = postgres.url(name, SCHEMES[driver])
        env = {"BOARD_DATA": str(tmp_path), "DATABASE_URL": url, "BOARD_POOL": "2"}
        board = launch("main:app", "--app-dir", str(BOARD), "--port", "0", "--workers", "2", env=env)
        board.wait_ready()
        with asking(f"{board.url}/api/messages?limit=3") as asked, httpx.Client(base_url=board.url, timeout=20) as client:
            for n in range(2):
                post(client, f"before reload {n}")
                asked.wait_for(200, 30)
                board.stderr.clear()
                board.process.send_signal(signal.SIGHUP)
                board.wait_for("reloaded after=")
                eventually(lambda: len(postgres.sessions("board", name)) <= 4)
        assert set(asked.outcomes) == {200}
        assert board.stop() == 0
        assert postgres.sessions("board", name) == []


class TestRequests:
    # spec: jobs 7
    def test_a_slow_query_stops_nobody_else(self, start_pooled: StartPooled) -> None:
        pooled = start_pooled(pool=2)
        with ThreadPoolExecutor() as threads:
            with pooled.lock(702):
                slow = threads.submit(httpx.get, f"{pooled.url}/wait?lock=702", timeout=30)
                eventually(lambda: pooled.waiting() == 1)
                assert [httpx.get(f"{pooled.url}/pid").status_code for _ in range(20)] == [200] * 20
                assert not slow.done()
            assert slow.result().status_code == 200

    # spec: jobs 7
    def test_a_client_that_leaves_while_its_query_runs_gives_the_connection_back(self, start_pooled: StartPooled) -> None:
        pooled = start_pooled(pool=1)
        with pooled.lock(703):
            for n in range(3):
                leave(pooled, "/impatient?lock=703", lambda: pooled.waiting() == 1)
                eventually(lambda n=n: len(pooled.noted("gave up")) == n + 1)
                eventually(lambda: pooled.waiting() == 0)
                assert httpx.get(f"{pooled.url}/pid").status_code == 200
        assert len(pooled.sessions()) == 1

    # spec: jobs 7
    def test_a_client_that_leaves_a_stream_gives_the_cursors_connection_back(self, start_pooled: StartPooled) -> None:
        pooled = start_pooled(pool=1)
        for _ in range(3):
            with httpx.stream("GET", f"{pooled.url}/export", timeout=20) as response:
                assert next(response.iter_lines()).startswith("x")
            assert httpx.get(f"{pooled.url}/pid", timeout=20).status_code == 200
        assert len(pooled.sessions()) == 1

    # spec: jobs 7
    def test_a_deadline_cancels_the_query_and_gives_the_connection_back(self, start_pooled: StartPooled) -> None:
        pooled = start_pooled("--timeout-request", "1s", pool=1)
        worker = httpx.get(f"{pooled.url}/pid").json()[0]
        with pooled.lock(704):
            assert httpx.get(f"{pooled.url}/wait?lock=704", timeout=20).status_code == 504
            eventually(lambda: pooled.waiting() == 0)
            assert httpx.get(f"{pooled.url}/pid", timeout=20).json()[0] == worker, "the worker was not replaced for it"
        assert len(pooled.sessions()) == 1

    # spec: jobs 7
    def test_each_request_has_its_own_context_session_and_transaction(self, start_pooled: StartPooled) -> None:
        pooled = start_pooled()
        with ThreadPoolExecutor(12) as threads, httpx.Client(base_url=pooled.url, timeout=20) as client:
            names = [f"request {n}" for n in range(120)]
            answers = list(threads.map(lambda name: client.get("/own", params={"name": name}).json(), names))
        assert answers == [[name, name, True] for name in names]
        assert len(pooled.sessions()) == POOL


def leave(pooled: Pooled, path: str, when: Callable[[], bool]) -> None:
    """Asks, and closes the connection when this is true."""
    with pooled.server.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        eventually(when)
        connection.shutdown(socket.SHUT_RDWR)
