"""The server trusts no worker: one that writes what it must not is killed, and nobody else notices.

The worker is faulty/awaitd, in the place of the real package.
"""

import os
import re
import signal
from pathlib import Path

import pytest

from harness import Server, StartServer, descriptors, eventually, family
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
SOURCE = (HERE / "faulty" / "awaitd" / "worker.py").read_text()
CASES = re.findall(r'^    "(.+)": (?:lambda|\w+,$)', SOURCE.partition("\nCASES")[2], re.M)
assert len(CASES) == len(re.findall(r'^    "\w', SOURCE.partition("\nCASES")[2], re.M)) > 30
SEEDS = range(1, 31)


def start(run: StartServer, tmp_path: Path, case: str) -> Server:
    env = {"PYTHONPATH": str(HERE / "faulty"), "FAULTY_CASE": case, "FAULTY_MARK": str(tmp_path / "mark")}
    return run("--no-access-log", **env)


# spec: process 4
@pytest.mark.parametrize("case", CASES)
def test_a_worker_that_breaks_a_rule_is_killed_for_it(run: StartServer, tmp_path: Path, case: str) -> None:
    server = start(run, tmp_path, case)
    with Connection(server) as connection, Connection(server) as other:
        connection.request("POST", "/", bytes(600_000 if "head of its ring" in case else 0))
        server.wait_for('a worker broke the rules of the wire and is killed worker=worker-1 error="wire violation: ')
        answer = connection.rest_or_response()
        if answer.status == 200:  # its head was out
            assert answer.text != "good", "a request that was started ran again"
        else:
            assert answer.status == 502
            assert "error id: " in answer.text
        assert other.get("/").text == "good"
        assert other.get("/").text == "good"
    assert server.stop() == 0
    assert server.stderr.text().count("broke the rules") == 1
    assert "panic" not in server.stderr.text()


# spec: process 4
@pytest.mark.parametrize("seed", SEEDS)
def test_random_frames(run: StartServer, tmp_path: Path, seed: int) -> None:
    server = start(run, tmp_path, f"fuzz:{seed}")
    before = descriptors(server.pid)
    with Connection(server) as connection:
        connection.request("POST", "/", b"x" * 1000)
        connection.rest_or_response()
    server.wait_for("a worker ended and is replaced")
    with Connection(server) as other:
        assert other.get("/").text == "good"
    assert descriptors(server.pid) <= before + 3
    assert server.stop() == 0


# spec: process 4
def test_a_frame_for_a_stream_that_is_not_there_is_skipped(run: StartServer, tmp_path: Path) -> None:
    server = start(run, tmp_path, "fuzz:0")
    with Connection(server) as connection:
        connection.request("GET", "/")
        connection.rest_or_response()
    assert fetch(server, "/").text == "good"


# spec: process 4
def test_a_folder_by_descriptor_fails_its_request_alone(run: StartServer, tmp_path: Path) -> None:
    server = start(run, tmp_path, "folder")
    before = descriptors(server.pid)
    with Connection(server) as connection:
        assert connection.request("GET", "/").head().status == 200
        assert connection.ends()
    server.wait_for("can't send a file.* error=.a descriptor that was passed: not a regular file. worker=worker-1")
    eventually(lambda: descriptors(server.pid) <= before)
    assert server.stop() == 0
    assert "ended and is replaced" not in server.stderr.text()


# spec: process 4
@pytest.mark.parametrize("case", ["many", "nobody"])
def test_descriptors_that_nobody_asked_for_go_with_their_worker(run: StartServer, tmp_path: Path, case: str) -> None:
    server = start(run, tmp_path, case)
    before = descriptors(server.pid)
    assert fetch(server, "/").status == 200
    eventually(lambda: descriptors(server.pid) >= before + 256)
    assert descriptors(server.pid) <= before + 256 + 3
    worker = family(server.pid)[1]
    os.kill(worker, signal.SIGKILL)
    server.wait_for("a worker ended and is replaced .*SIGKILL")
    assert fetch(server, "/").text == "good"
    eventually(lambda: descriptors(server.pid) <= before + 3)
    assert server.stop() == 0
    assert "broke the rules" not in server.stderr.text()
