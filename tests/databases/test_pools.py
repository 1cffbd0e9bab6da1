"""A pool of connections to PostgreSQL in the workers: the real binary, asyncpg."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from engines import PostgreSQL
from harness import StartServer, alive, eventually, family, serve

HERE = Path(__file__).parent


# spec: jobs 7
def test_a_pool_is_opened_and_closed_once_by_each_worker(postgresql: PostgreSQL) -> None:
    with serve("queries_app:app", HERE, "--workers", "2", env={"DATABASE_URL": postgresql.url()}) as server:
        assert httpx.get(server.url).status_code == 200
        assert postgresql.connections() == 4
    assert [server.output().count(f"pool {what}") for what in ("opened", "closed")] == [2, 2]
    assert postgresql.connections() == 0


# spec: jobs 7
def test_a_reload_under_load_loses_no_request_and_no_connection(start_one: StartServer, postgresql: PostgreSQL) -> None:
    server = start_one("queries_app:app", HERE, "--workers", "2", DATABASE_URL=postgresql.url())
    stop = False

    def ask() -> set[str]:
        pids = set()
        with httpx.Client(timeout=20) as client:
            while not stop:
                answer = client.get(f"{server.url}/0.01")
                assert answer.status_code == 200
                pids.add(answer.text)
        return pids

    with ThreadPoolExecutor(6) as threads:
        asking = [threads.submit(ask) for _ in range(6)]
        for _ in range(4):
            server.stderr.clear()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("reloaded")
        stop = True
        seen = set().union(*(future.result() for future in asking))
    assert len(seen) > 4
    eventually(lambda: postgresql.connections() == 4)


# spec: jobs 7
def test_a_query_that_takes_long_disturbs_nobody(start_one: StartServer, postgresql: PostgreSQL) -> None:
    server = start_one("queries_app:app", HERE, DATABASE_URL=postgresql.url())
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(httpx.get, f"{server.url}/1000", timeout=60)
        eventually(lambda: postgresql.connections("state = 'active'") == 1)
        for _ in range(20):
            assert httpx.get(server.url).status_code == 200
        assert not slow.done()
        postgresql.ask(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'board' AND state = 'active'"
        )
        assert slow.result().status_code == 500


# spec: jobs 7
def test_a_client_that_leaves_gives_its_connection_back(start_one: StartServer, postgresql: PostgreSQL) -> None:
    server = start_one("queries_app:app", HERE, DATABASE_URL=postgresql.url())
    clients = []
    for _ in range(2):  # all that there are
        client = socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 0), timeout=20)
        client.sendall(b"GET /1000?watch HTTP/1.1\r\nHost: a\r\n\r\n")
        clients.append(client)
    eventually(lambda: postgresql.connections("state = 'active'") == 2)
    for client in clients:
        client.close()
    eventually(lambda: postgresql.connections("state = 'active'") == 0)
    assert httpx.get(server.url).status_code == 200
    assert postgresql.connections() == 2


# spec: jobs 7
def test_a_worker_that_is_killed_takes_its_connections_alone(start_one: StartServer, postgresql: PostgreSQL) -> None:
    server = start_one("queries_app:app", HERE, "--workers", "2", DATABASE_URL=postgresql.url())
    worker = family(server.pid)[1]
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: not alive(worker))
    for _ in range(20):
        assert httpx.get(server.url).status_code == 200
    eventually(lambda: postgresql.connections() == 4)
