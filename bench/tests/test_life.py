"""Figures of the rows about workers' lives, and what voids them."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import control
import life
import procs
from life import Asked, Reloads
from load import Load
from preload import least
from rows import Also
from running import Running
from start import beyond

WORKERS: list[dict[str, Any]] = [
    {"pid": 1, "state": "ready", "requests": 205, "name": "worker-1"},
    {"pid": 2, "state": "ready", "requests": 199, "name": "worker-2"},
    {"pid": 3, "state": "booting", "requests": 0, "name": "worker-3"},
]


@contextmanager
def answering(listener: socket.socket, line: bytes) -> Iterator[None]:
    """Answers each connection's first line with this one."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as file:
                file.readline()
                connection.sendall(line)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    """A control socket of a server with WORKERS."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "control"))
    listener.listen()
    with answering(listener, json.dumps({"status": {"workers": WORKERS}}).encode() + b"\n"):
        yield str(tmp_path / "control")


def test_workers_are_asked_for_at_the_control_socket(path: str) -> None:
    assert control.workers(path)[0] == control.Worker(1, "ready", 205)
    assert life.ready(path) == 2
    assert life.ready(path, {1}) == 1


def test_the_fewest_requests_count_and_none_while_a_worker_is_missing(path: str) -> None:
    assert (least(path, 2), least(path, 3)) == (199, 0)


def test_what_others_waited_is_told_from_what_is_slow_itself() -> None:
    quantiles = {"p50": 100, "p99": 2000, "p999": 3000, "max": 4000, "requests": 98}
    answer = Load(100, 1.0, 1, {}, kinds={"/": quantiles, "/wait": {**quantiles, "p50": 200_000, "requests": 2}})
    figures = life.by_path(answer, "/", (Also("/wait", 0.02, "wait.txt"),))
    assert (figures["p50"], figures["p99"], figures["max"]) == (0.1, 2, 4)
    assert (figures["p50/wait"], figures["requests/wait"]) == (200, 2)


@pytest.mark.parametrize("line", [b"HTTP/1.1 504 Gateway Timeout\r\n", b""])
def test_one_request_is_timed_and_its_status_line_kept(line: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with answering(listener, line):
        asked = Asked(listener.getsockname()[1], "/stuck")
        asked.start()
        asked.join(10)
    assert asked.said == line
    assert asked.seconds > 0


def test_a_start_is_what_it_takes_beyond_its_share_of_the_import() -> None:
    figures = beyond([0.01, 0.02, 0.09], [0.1, 0.08, 0.9])
    assert {name: round(ms, 6) for name, ms in figures.items()} == {"import_ms": 20, "first_ms": 100, "beyond_ms": 76}


MASTER = """
import signal, subprocess, sys
def start():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
child = start()
print(flush=True)
while True:
    signal.sigwait([signal.SIGHUP])
    old, child = child, start()
    if sys.argv[1] == "replaces":
        old.kill()
        old.wait()
    print(flush=True)
"""


@contextmanager
def master(manner: str) -> Iterator[Running]:
    """A process that starts another at each SIGHUP, and kills the one before if that is its manner."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    process = subprocess.Popen(
        [sys.executable, "-c", MASTER, manner], start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
    assert process.stdout is not None
    process.stdout.readline()

    def descendants() -> set[tuple[int, int]]:
        return {p.key for p in procs.tree(process.pid, procs.running()) if p.pid != process.pid}

    try:
        yield cast(Running, SimpleNamespace(pid=process.pid, descendants=descendants))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_reloads_are_over_when_the_workers_are_others() -> None:
    with master("replaces") as server:
        reloads = Reloads(server, workers=1, seconds=3)
        reloads.run()
    assert (len(reloads.took), reloads.late) == (life.RELOADS, "")


def test_a_reload_that_never_ends_is_told() -> None:
    with master("keeps") as server:
        reloads = Reloads(server, workers=1, seconds=1)
        reloads.run()
    assert reloads.late == "0 of 5 reloads were over at the end of the load of 1 s"
