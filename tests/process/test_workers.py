"""Workers that die, block, fork and talk: what becomes of their requests, their children and their words."""

import json
import os
import re
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import Server, StartServer, alive, eventually, family
from meeting import Gate, blocked, release
from rawhttp import Connection, fetch


def pid_of(server: Server) -> int:
    return int(fetch(server, "/pid").text)


# spec: process 3
# spec: process 4
@pytest.mark.parametrize(
    ("target", "how"),
    [
        ("/signal?name=SIGKILL", "killed by SIGKILL"),
        ("/signal?name=SIGTERM", "exit status 0"),
        ("/exit?code=7", "exit status 7"),
        ("/hard-exit?code=0", "exit status 0"),
        ("/segfault", "killed by SIGSEGV"),
    ],
)
def test_a_worker_that_ends_is_replaced(run: StartServer, target: str, how: str) -> None:
    server = run()
    before = pid_of(server)
    with Connection(server) as connection:
        response = connection.get(target)
        assert response.status in (500, 502)
        error = re.search("error id: ([0-9a-f]{16})", response.text)
        assert error
        assert error[1] in server.wait_for(rf"answered {response.status} .* id={error[1]}").string
        server.wait_for(f'a worker ended and is replaced worker=worker-1 pid={before} how="{how}"')
        assert int(connection.get("/pid").text) != before  # on the same connection
    assert server.stop() == 0


# spec: process 4
def test_an_answer_that_had_begun_is_aborted(run: StartServer, pipe: Path) -> None:
    server = run()
    with Connection(server) as connection:
        assert connection.request("GET", f"/die-after-head?pipe={pipe}").head().status == 200
        assert connection.chunk() == b"some"
        release(pipe)
        assert connection.ends()
    assert fetch(server, "/pid").status == 200


# spec: process 4
def test_what_a_dead_worker_had_not_taken_runs_on_another(run: StartServer, pipe: Path) -> None:
    server = run()
    before = pid_of(server)
    with ExitStack() as stack:
        blocking = stack.enter_context(Connection(server)).request("GET", f"/block?pipe={pipe}")
        blocked(pipe)
        waiting = [stack.enter_context(Connection(server)).request("GET", "/pid") for _ in range(50)]
        body = b"x" * 10_000
        upload = stack.enter_context(Connection(server)).request("POST", "/pid", body)
        os.kill(before, signal.SIGKILL)
        assert blocking.response().status == 502
        answers = [connection.response() for connection in [*waiting, upload]]
        assert {(answer.status, answer.text) for answer in answers} == {(200, str(pid_of(server)))}


# spec: process 5
def test_the_end_of_one_worker_costs_no_more_than_what_it_had_started(run: StartServer) -> None:
    server = run("--workers", "2")
    victim = pid_of(server)
    failed = 0
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(server)) for _ in range(16)]
        for turn in range(40):
            for connection in connections:
                connection.request("GET", "/pid")
            if turn == 10:
                os.kill(victim, signal.SIGKILL)
            statuses = [connection.response().status for connection in connections]
            assert set(statuses) <= {200, 502}
            failed += statuses.count(502)
    assert failed <= 16
    server.wait_for("a worker ended and is replaced")


# spec: process 12
def test_a_full_queue_and_a_long_wait_are_answered_with_503(run: StartServer, gate: Gate) -> None:
    server = run("--limit-concurrency", "1", "--limit-queue", "1", "--timeout-queue", "0.2")
    with Connection(server) as busy, Connection(server) as idle, Connection(server) as queued:
        assert busy.request("GET", f"/wait?gate={gate}").head().status == 200
        queued.request("GET", "/version")
        full = idle.get("/version")
        assert (full.status, full["retry-after"]) == (503, "1")
        late = queued.response()
        assert (late.status, late["retry-after"]) == (503, "1")
        gate.open()
        while busy.chunk():
            pass
        assert queued.get("/version").status == idle.get("/version").status == 200


# spec: process 3
def test_a_crash_loop_stops(run: StartServer, tmp_path: Path) -> None:
    (tmp_path / "crashing.py").write_text("import os, sys\nprint('crashing', file=sys.stderr)\nos.kill(os.getpid(), 11)\n")
    server = run(target="crashing:app", app_dir=tmp_path, ready=False)
    assert server.wait() == 3
    output = server.stderr.text()
    how = "5 workers in a row ended before they were ready, the last one: killed by SIGSEGV"
    assert output.splitlines()[-1] == f"error: can't start `crashing:app`: {how}"
    assert output.count("crashing\n") == 5


# spec: process 3
def test_an_application_that_breaks_later_ends_with_its_traceback_once(run: StartServer, tmp_path: Path) -> None:
    app = tmp_path / "breaking.py"
    app.write_text("from app import app\n")
    server = run(target="breaking:app", app_dir=tmp_path, PYTHONPATH=pythonpath(Path(__file__).parent))
    app.write_text("from app import app\nraise RuntimeError('broken now')\n")
    fetch(server, "/signal?name=SIGKILL")
    assert server.wait() == 3
    output = server.stderr.text()
    assert output.count("Traceback") == output.count("\nRuntimeError: broken now") == 1
    assert output.endswith("error: can't import `breaking:app`: module `breaking` failed: RuntimeError: broken now\n")


def pythonpath(*folders: Path) -> str:
    """With what is there already: the package under test may come from it."""
    return os.pathsep.join([*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])])


# spec: process 3
def test_orphans_become_the_servers_and_are_reaped(run: StartServer, tmp_path: Path) -> None:
    server = run()
    for n in range(3):
        pipe, file = tmp_path / f"pipe{n}", tmp_path / f"orphan{n}"
        os.mkfifo(pipe)
        assert fetch(server, f"/orphan?pipe={pipe}&file={file}").status == 200
        release(pipe)
        eventually(file.exists)
        assert json.loads(file.read_text())["parent"] == server.pid
        eventually(lambda: len(family(server.pid)) == 2)  # not even a zombie is left
    # And the ends of workers are not stolen.
    before = pid_of(server)
    fetch(server, "/signal?name=SIGSEGV")
    server.wait_for(f'a worker ended and is replaced worker=worker-1 pid={before} how="killed by SIGSEGV"')
    assert server.stop() == 0


# spec: process 13
def test_requests_go_to_the_worker_that_is_free_also_on_a_connection_the_blocked_one_had(run: StartServer, pipe: Path) -> None:
    server = run("--workers", "2")
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(server)) for _ in range(8)]
        served = {connection.get("/pid").text for connection in connections}
        blocking = stack.enter_context(Connection(server)).request("GET", f"/block?pipe={pipe}")
        blocked(pipe)
        for _ in range(5):
            free = {connection.get("/pid").text for connection in connections}
            assert len(free) == 1
        release(pipe)
        last = blocking.response().text
        assert last not in free
        assert served <= {last, *free}


# spec: process 13
def test_what_lies_in_the_ring_of_a_blocked_worker_runs_on_the_other(run: StartServer, pipe: Path) -> None:
    server = run("--workers", "2")
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(server)) for _ in range(10)]
        blocking = stack.enter_context(Connection(server)).request("GET", f"/block?pipe={pipe}")
        blocked(pipe)
        server.process.send_signal(signal.SIGSTOP)  # so that it gets the ten at once, and spreads them over both rings
        for connection in connections:
            connection.request("GET", "/pid")
        server.process.send_signal(signal.SIGCONT)
        free = {connection.response().text for connection in connections}
        release(pipe)
        assert free != {blocking.response().text}
        assert len(free) == 1


# spec: process 14
@pytest.mark.parametrize(("workers", "prefix"), [(1, ""), (2, r"worker-[12]  ")])
def test_what_workers_say_reaches_the_log_line_by_line(run: StartServer, workers: int, prefix: str) -> None:
    server = run("--workers", str(workers))
    assert fetch(server, "/print?text=one%0Atwo").text == "printed"
    for line in ("one", "two"):
        server.wait_for(f"^{prefix}{line}$")
    assert server.stop() == 0
    assert len(re.findall(f"^{prefix}(one|two)$", server.stderr.text(), re.M)) == 4


# spec: process 14
def test_a_worker_that_writes_100_mb_blocks_nobody(run: StartServer) -> None:
    server = run("--workers", "2")
    with Connection(server) as talking:
        talking.request("GET", "/talk?lines=100000")
        while server.stderr.bytes < 20_000_000:
            assert fetch(server, "/version").status == 200
        assert talking.response().text == "talked"
    eventually(lambda: server.stderr.bytes > 100_000_000)


# spec: process 14
def test_a_log_that_nobody_reads_does_not_stop_the_server(run: StartServer) -> None:
    server = run("--workers", "2")
    with Connection(server) as talking:
        with server.stderr.unread():
            talking.request("GET", "/talk?lines=500")  # more than fits into the pipes: the worker waits, nobody else
            for _ in range(50):
                assert fetch(server, "/nothing").status == 500  # of which the other worker and the server speak
            assert fetch(server, "/version").status == 200
        assert talking.response().text == "talked"
    assert server.stop() == 0
    assert server.stderr.text().count("answered 500") == 50


# spec: process 15
def test_nothing_survives_the_server(run: StartServer, pipe: Path) -> None:
    server = run("--workers", "2")
    workers = family(server.pid)[1:]
    with Connection(server) as connection:
        connection.request("GET", f"/block?pipe={pipe}")
        blocked(pipe)
        server.process.kill()
        server.wait()
        eventually(lambda: not any(map(alive, workers)))


# spec: process 4
def test_a_get_whose_worker_dies_may_run_once_more(run: StartServer, tmp_path: Path) -> None:
    server = run("--retry-idempotent", "--workers", "2")
    first = fetch(server, f"/die-once?file={tmp_path}/died")
    assert (first.status, first.text) == (200, "alive")
    with Connection(server) as connection:
        (tmp_path / "died").unlink()
        assert connection.request("POST", f"/die-once?file={tmp_path}/died").response().status == 502
    assert fetch(server, "/hard-exit?code=3").status == 502  # a second worker died of it
