"""Workers that are worn are replaced, and nobody notices; workers whose event loop does not turn are replaced, too."""

from pathlib import Path

import pytest

from harness import Server, StartServer, alive, eventually
from rawhttp import Connection, fetch


def pid_of(server: Server) -> str:
    return fetch(server, "/pid").text


# spec: process 7
@pytest.mark.parametrize(("target", "threads"), [("app:app", "1"), ("threaded:app", "1"), ("threaded:app", "4")])
def test_after_a_number_of_requests_on_one_connection(run: StartServer, target: str, threads: str) -> None:
    server = run("--max-requests", "20", "--max-requests-jitter", "5", "--workers", "2", "--threads", threads, target=target)
    pids = set()
    with Connection(server) as connection:

        def several() -> bool:
            answer = connection.get("/pid")
            assert answer.status == 200
            pids.add(answer.text)
            return len(pids) >= 6

        eventually(several)
    server.wait_for(r"a worker is replaced worker=worker-\d pid=\d+ after=\"2\d requests\"")
    assert server.stop() == 0
    assert not any(alive(int(pid)) for pid in pids)
    assert "killed" not in server.stderr.text()


# spec: process 7
def test_after_a_time(run: StartServer) -> None:
    server = run("--workers-lifetime", "0.3")
    with Connection(server) as connection:
        first = connection.get("/pid").text
        assert eventually(lambda: connection.get("/pid").text != first)
    server.wait_for(r'after="its lifetime"')


# spec: process 7
def test_with_so_much_memory(run: StartServer) -> None:
    server = run("--workers-max-rss", "200MiB")
    with Connection(server) as connection:
        first = connection.get("/grow?bytes=250000000").text
        assert eventually(lambda: connection.get("/pid").text != first)
    server.wait_for(r'after="\d+ MiB of memory"')


# spec: process 7
def test_a_successor_that_does_not_start_is_not_taken(run: StartServer, tmp_path: Path) -> None:
    app = tmp_path / "main.py"
    app.write_text("from app import app\n")
    server = run("--max-requests", "5", target="main:app", app_dir=tmp_path, PYTHONPATH=str(Path(__file__).parent))
    first = pid_of(server)
    app.write_text("raise RuntimeError('broken')\n")
    for _ in range(5):
        assert pid_of(server) == first
    server.wait_for("its successor can't start; it goes on")
    assert pid_of(server) == first
    app.write_text("from app import app\n")
    assert eventually(lambda: pid_of(server) != first)


# spec: process 10
def test_a_loop_that_does_not_turn_is_replaced(run: StartServer) -> None:
    server = run("--timeout-worker-healthcheck", "0.4")
    before = pid_of(server)
    with Connection(server) as stuck, Connection(server) as behind:
        stuck.request("GET", "/spin")
        behind.request("GET", "/pid")
        assert stuck.response().status == 502
        answer = behind.response()
        assert (answer.status, answer.text != before) == (200, True)
    server.wait_for('a worker is stuck.*why="its event loop has not turned for 400ms"')
    server.wait_for(r'app\.py", line \d+ in do_spin')


# spec: process 10
def test_a_loop_that_turns_may_run_a_request_for_long(run: StartServer) -> None:
    server = run("--timeout-worker-healthcheck", "0.1", "--timeout-request", "0.8")
    before = pid_of(server)
    with Connection(server) as hung:
        assert hung.get("/hang").status == 504  # many times the health check's time later
    assert pid_of(server) == before
    assert "stuck" not in server.stderr.text()
