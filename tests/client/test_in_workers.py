"""The HTTP client of applications: one pool for all workers, no sidecar."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from harness import Server, StartServer, binary, eventually, family
from origin import Origin, serve

HERE = Path(__file__).parent
TARGETS = [("calling_app:app", "/"), ("calling_app:wsgi", "/httpx"), ("calling_app:wsgi", "/requests")]


def ask(server: Server, path: str, url: str) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", params={"url": url}, timeout=20, trust_env=False)


@pytest.mark.parametrize(("target", "path"), TARGETS)
def test_workers_share_a_pool(start_server: StartServer, target: str, path: str) -> None:
    with serve() as origin:
        server = start_server(target, HERE, "--bind", "127.0.0.1:0", "--workers", "2")
        for _ in range(20):
            assert ask(server, path, origin.url + "/hello").text == "hello"
        assert origin.connections == 1
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: ask(server, path, origin.url + "/chunked").text, range(100)))
        assert answers == ["one two three"] * 100
        assert len(ask(server, path, origin.url + "/large").content) == 64 << 20
        assert "Error" in ask(server, path, "http://127.0.0.1:1/").text
        children = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in family(server.pid)]
        assert not any(b"sidecar" in line for line in children)


@pytest.mark.parametrize(("target", "path"), TARGETS)
def test_the_server_can_deny_private_addresses(start_server: StartServer, origin: Origin, target: str, path: str) -> None:
    server = start_server(target, HERE, "--bind", "127.0.0.1:0", "--client-deny", "private")
    answer = ask(server, path, origin.url + "/hello")
    assert answer.status_code == 502
    assert "is denied: it is not a public address" in answer.text


def test_forked_workers_have_it_too(start_server: StartServer, origin: Origin) -> None:
    server = start_server("calling_app:app", HERE, "--bind", "127.0.0.1:0", "--workers", "2", "--preload")
    for _ in range(10):
        assert ask(server, "/", origin.url + "/hello").text == "hello"


def test_a_worker_that_has_gone_leaves_nothing_under_way(start_server: StartServer) -> None:
    with serve() as origin:
        server = start_server("calling_app:app", HERE, "--bind", "127.0.0.1:0")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(ask, server, "/", origin.url + "/stall")
            assert origin.began.acquire(timeout=10)
            (worker,) = [pid for pid in family(server.pid) if pid != server.pid]
            subprocess.run(["kill", "-9", str(worker)], check=True)
            assert origin.left.acquire(timeout=10)
            assert waiting.result().status_code == 502
        assert eventually(lambda: ask(server, "/", origin.url + "/hello").text == "hello", 20)


def test_a_program_of_awaitd_run_has_it(origin: Origin, tmp_path: Path) -> None:
    command = [binary(), "run", str(HERE / "calling_app.py"), origin.url + "/hello"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert "answer: hello" in run.stdout + run.stderr
