"""Requests that take too long: the client is told, the application cancelled, and a worker that goes on replaced."""

import os
import time
from contextlib import ExitStack
from pathlib import Path

from harness import Server, StartServer, alive, eventually
from meeting import Gate, blocked, release
from rawhttp import Connection, fetch


def pid_of(server: Server) -> str:
    return fetch(server, "/pid").text


# spec: process 9
def test_the_client_gets_504_and_the_application_is_cancelled(run: StartServer, tmp_path: Path) -> None:
    server = run("--timeout-request", "0.3")
    before = pid_of(server)
    with Connection(server) as connection:
        answer = connection.get("/hang")
        assert answer.status == 504
        assert "error id: " in answer.text
        assert connection.get("/pid").text == before  # the same connection, the same worker
    notes = tmp_path / "notes"  # a task is cancelled in its next turn: the other request may be answered before
    eventually(lambda: notes.exists() and notes.read_text() == "hung until cancelled\n")
    error_id = answer.text.split("error id: ")[1].strip()
    server.wait_for(f"answered 504.*{error_id}")


# spec: process 9
def test_a_loop_that_does_not_yield_is_replaced_and_its_stack_is_in_the_log(run: StartServer) -> None:
    server = run("--timeout-request", "0.3")
    before = pid_of(server)
    begun = time.monotonic()
    with ExitStack() as stack:
        stuck = stack.enter_context(Connection(server)).request("GET", "/spin")
        behind = [stack.enter_context(Connection(server)) for _ in range(10)]
        assert stuck.response().status == 504
        for connection in behind:
            connection.request("GET", "/pid")
        after = {connection.response().text for connection in behind}
    assert len(after) == 1
    assert before not in after
    assert time.monotonic() - begun < 10
    server.wait_for("a worker is stuck")
    server.wait_for(r'app\.py", line \d+ in do_spin')
    server.wait_for("killed: a request went on past its deadline")


# spec: process 9
def test_a_response_that_has_begun_may_go_on(run: StartServer, gate: Gate) -> None:
    server = run("--timeout-request", "0.2")
    with Connection(server) as connection, Connection(server) as other:
        assert connection.request("GET", f"/wait?gate={gate}").head().status == 200
        assert other.get("/hang").status == 504
        gate.open()
        while connection.chunk():
            pass


# spec: process 9
def test_a_deadline_ends_a_request_also_while_its_body_comes(run: StartServer) -> None:
    server = run("--timeout-request", "0.2")
    before = pid_of(server)
    with Connection(server) as connection:
        connection.send(b"POST /hang HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert connection.response().status == 504
    assert pid_of(server) == before
    assert os.path.exists(f"/proc/{before}")


# spec: process 9
def test_a_thread_that_goes_on_is_replaced_with_its_worker(run: StartServer) -> None:
    server = run("--timeout-request", "0.3", target="threaded:app")
    before = pid_of(server)
    with Connection(server) as stuck, Connection(server) as behind:
        stuck.request("GET", "/hang")
        behind.request("GET", "/pid")
        assert stuck.response().status == 504
        after = behind.response()
        assert (after.status, after.text != before) == (200, True)
    server.wait_for(r'threaded\.py", line \d+ in app')


# spec: process 9
def test_a_thread_that_ends_late_costs_nobody_a_worker(run: StartServer) -> None:
    server = run("--timeout-request", "0.2", target="threaded:app")
    before = pid_of(server)
    with Connection(server) as connection:
        assert connection.get("/late").status == 504
        assert connection.get("/pid").text == before
    assert server.stop() == 0
    assert "stuck" not in server.stderr.text()


# spec: process 9
def test_what_other_threads_run_is_finished_before_a_stuck_worker_goes(run: StartServer, pipe: Path) -> None:
    server = run("--timeout-request", "2", "--threads", "2", target="threaded:app")
    before = pid_of(server)
    with Connection(server) as stuck, Connection(server) as other, Connection(server) as third:
        stuck.request("GET", "/hang")
        assert stuck.response().status == 504
        other.request("GET", f"/meet?pipe={pipe}")
        blocked(pipe)
        server.wait_for("a worker is stuck")
        assert eventually(lambda: third.get("/pid").text != before)  # the successor serves
        release(pipe)
        assert other.response().text == before
    assert eventually(lambda: not alive(int(before)))
