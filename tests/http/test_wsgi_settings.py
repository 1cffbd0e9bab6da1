"""WSGI as the settings have it: threads, workers, limits and timeouts, mount points, unix sockets, proxies."""

import errno
import json
import os
import re
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import Server, StartServer, family, resident
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
MEGABYTE = b"0123456789abcdef" * (1 << 16)


def environ(server: Server, target: str = "/", **fields: str) -> dict[str, str | bool]:
    found = json.loads(fetch(server, target, **fields).body)
    return {key: value for key, (_, value) in found.items()}


def noted(server: Server, count: int) -> list[str]:
    found = json.loads(fetch(server, f"/log?{count}").body)
    assert isinstance(found, list)
    return found


# spec: wsgi 7
@pytest.mark.parametrize("app", ["app", "validated"])
def test_the_prefix_of_a_mount_point(start_server: StartServer, app: str) -> None:
    server = start_server(f"wsgi_cases:{app}", HERE, "--no-access-log", "--root-path", "/shop/caf\xe9")
    for target, path in [
        ("/shop/caf%C3%A9/x", "/x"),
        ("/shop/caf%C3%A9", ""),
        ("/shop/caf%C3%A9/", "/"),
        ("/shop/caf%C3%A9teria", "/shop/caf\xc3\xa9teria"),
        ("/x", "/x"),
        ("/", "/"),
    ]:
        found = environ(server, target)
        assert (found["SCRIPT_NAME"], found["PATH_INFO"], found["RAW_URI"]) == ("/shop/caf\xc3\xa9", path, target)
    assert not re.search("AssertionError|Traceback", server.output())


# spec: wsgi 7
@pytest.mark.parametrize("app", ["app", "validated"])
def test_a_unix_socket_has_no_addresses(start_server: StartServer, tmp_path: Path, app: str) -> None:
    server = start_server(f"wsgi_cases:{app}", HERE, "--no-access-log", "--uds", str(tmp_path / "socket"))
    found = environ(server)
    assert (found["SERVER_NAME"], found["SERVER_PORT"], found["REMOTE_ADDR"], found["REMOTE_PORT"]) == (
        "localhost",
        "80",
        "",
        "",
    )
    assert not re.search("AssertionError|Traceback", server.output())


# spec: wsgi 7
def test_ipv6(start_server: StartServer) -> None:
    server = start_server("wsgi_cases:app", HERE, "--no-access-log", "--bind", "127.0.0.1:0", "--bind", "[::1]:0")
    port = int(server.wait_for(r"http://\[::1\]:(\d+)")[1])
    with socket.create_connection(("::1", port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")[2]
        answer = {key: value for key, (_, value) in json.loads(body).items()}
        assert (answer["SERVER_NAME"], answer["SERVER_PORT"], answer["REMOTE_ADDR"]) == ("::1", str(port), "::1")
        assert answer["REMOTE_PORT"] == str(connection.getsockname()[1])


# spec: wsgi 7
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_what_runs_beside_it(start_server: StartServer, workers: str, threads: str) -> None:
    server = start_server("wsgi_cases:app", HERE, "--workers", workers, "--threads", threads)
    found = environ(server)
    assert (found["wsgi.multiprocess"], found["wsgi.multithread"], found["wsgi.run_once"]) == (
        workers == "2",
        threads == "2",
        False,
    )


# spec: wsgi 7
@pytest.mark.parametrize("app", ["app", "validated"])
def test_a_trusted_proxy_says_https(start_server: StartServer, app: str) -> None:
    server = start_server(
        f"wsgi_cases:{app}", HERE, "--proxy-headers", "--forwarded-allow-ips", "127.0.0.1", FOO_OF_THE_SERVER="bar"
    )
    found = environ(server, x_forwarded_proto="https", x_forwarded_for="192.0.2.9")
    assert (found["wsgi.url_scheme"], found["HTTPS"], found["REMOTE_ADDR"]) == ("https", "on", "192.0.2.9")
    found = environ(server)
    assert (found["wsgi.url_scheme"], found.get("HTTPS", "off")) == ("http", "off")
    assert "FOO_OF_THE_SERVER" not in found
    assert "PATH" not in found


def fifos(folder: Path, count: int) -> list[Path]:
    paths = [folder / str(number) for number in range(count)]
    for path in paths:
        os.mkfifo(path)
    return paths


def is_read(path: Path) -> bool:
    """Whether somebody has the fifo open for reading."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return False
    return True


# spec: wsgi 10
@pytest.mark.parametrize("threads", [1, 3])
def test_one_request_for_each_thread_and_the_next_waits_in_the_server(
    start_server: StartServer, tmp_path: Path, threads: int
) -> None:
    server = start_server("wsgi_cases:app", HERE, "--no-access-log", "--threads", str(threads))
    paths = fifos(tmp_path, threads + 2)
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(server)) for _ in paths]
        writers = []
        for connection, path in zip(connections[:threads], paths, strict=False):
            connection.request("GET", f"/reads_fifo?{path}")
            writers.append(stack.enter_context(open(path, "wb", buffering=0)))  # waits until it is run
        for connection, path in zip(connections[threads:], paths[threads:], strict=True):
            connection.request("GET", f"/reads_fifo?{path}")
        assert not any(is_read(path) for path in paths[threads:])
        writers[0].write(b"first")
        writers[0].close()
        pid = int(connections[0].response().text.removeprefix("first "))
        with open(paths[threads], "wb") as writer:
            writer.write(b"next")
        assert connections[threads].response().text == f"next {pid}"
        open(paths[threads + 1], "wb").close()
        for writer in writers:
            writer.close()
        assert [connection.response().text for connection in connections[1:threads]] == [f" {pid}"] * (threads - 1)
    assert fetch(server, "/hello").body == b"hello"


# spec: wsgi 10
# spec: process 4
@pytest.mark.parametrize("threads", [1, 3])
def test_what_waits_outlives_the_worker(start_server: StartServer, tmp_path: Path, threads: int) -> None:
    server = start_server("wsgi_cases:app", HERE, "--no-access-log", "--threads", str(threads))
    paths = fifos(tmp_path, threads)
    with ExitStack() as stack:
        running = [stack.enter_context(Connection(server)) for _ in paths]
        for connection, path in zip(running, paths, strict=True):
            connection.request("GET", f"/reads_fifo?{path}")
            stack.enter_context(open(path, "wb", buffering=0))
        waiting = [stack.enter_context(Connection(server)) for _ in range(4)]
        for connection in waiting:
            connection.request("GET", "/hello")
        os.kill(family(server.pid)[-1], signal.SIGKILL)
        assert [connection.response().status for connection in running] == [502] * threads
        assert [connection.response().body for connection in waiting] == [b"hello"] * 4


# spec: wsgi 10
def test_threads_that_are_stuck_delay_a_stop_together_not_one_by_one(launch: StartServer, tmp_path: Path) -> None:
    settings = "--threads", "8", "--timeout-graceful-shutdown", "0"
    server = launch("wsgi_cases:app", "--app-dir", str(HERE), "--port", "0", *settings, env={})
    server.wait_ready()
    with ExitStack() as stack:
        for path in fifos(tmp_path, 8):
            stack.enter_context(Connection(server)).request("GET", f"/reads_fifo?{path}")
            stack.enter_context(open(path, "wb", buffering=0))  # waits until it is run
        server.process.send_signal(signal.SIGTERM)
        assert server.wait(within=5) == 0


# spec: wsgi 4
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_large_upload_is_never_whole_in_memory(start_server: StartServer, chunked: bool, threads: str) -> None:
    server = start_server("wsgi_cases:app", HERE, "--no-access-log", "--threads", threads, "--limit-request-body", "200MB")
    pids = family(server.pid)
    with Connection(server, timeout=60) as connection:
        connection.request("POST", "/count", MEGABYTE).response()
        before = sum(map(resident, pids))
        framing = "transfer-encoding: chunked" if chunked else f"content-length: {100 << 20}"
        connection.send(f"POST /count HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n")
        most = 0
        for _ in range(100):
            connection.send(b"100000\r\n" + MEGABYTE + b"\r\n" if chunked else MEGABYTE)
            most = max(most, sum(map(resident, pids)))
        response = connection.send("0\r\n\r\n" if chunked else "").response()
        assert json.loads(response.body)[0] == 100 << 20
    assert most - before < 20 << 20


# spec: wsgi 4
def test_a_client_that_stalls_within_its_body(start_server: StartServer) -> None:
    server = start_server("wsgi_cases:app", HERE, "--no-access-log", "--threads", "2", "--timeout-body", "0.3s")
    with Connection(server) as connection:
        connection.send("POST /read_fails HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello")
        assert connection.response().status == 408
        assert connection.ends()
    assert noted(server, 1) == ["ClientDisconnected: the client left before the end of its request"]
    assert "Traceback" not in server.output()


@pytest.fixture(scope="module", params=["1", "4"])
def server(start_server: StartServer, request: pytest.FixtureRequest) -> Server:
    return start_server("wsgi_cases:app", HERE, "--no-access-log", "--threads", request.param)


# spec: wsgi 4
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_that_leaves_within_its_body(server: Server, leave: str) -> None:
    server.stderr.clear()
    connection = Connection(server)
    connection.send("POST /read_fails HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n")
    assert connection.head().status == 100  # so it reads
    connection.send("hello")
    getattr(connection, leave)()
    assert noted(server, 1) == ["ClientDisconnected: the client left before the end of its request"]
    assert "Traceback" not in server.output()


# spec: wsgi 4
@pytest.mark.parametrize("size", [0, 100_000])
def test_what_is_read_after_the_end_is_an_error_and_no_wait(server: Server, size: int) -> None:
    with Connection(server) as connection:
        connection.send(f"POST /read_too_late HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n")
        assert connection.response().body == b"over"
        found = sorted(noted(server, 2))
    if size:
        over = "OSError: the response has ended, and with it the request body"
        assert found == [f"close: {over}", f"thread: {over}"]
    else:
        assert found == ["close: b''", "thread: b''"]


# spec: wsgi 2
def test_what_is_written_after_the_end_is_an_error(server: Server) -> None:
    assert fetch(server, "/write_after_the_end").body == b"all"
    assert noted(server, 1) == ["the response has ended: nothing can be sent any more"]


# spec: wsgi 4
# spec: wsgi 10
@pytest.mark.parametrize("round", range(5))
def test_threads_of_the_application_s_own(server: Server, round: int) -> None:
    """Several at work on one request: what they do is theirs to sort out, but nothing may be lost, or hang."""
    with Connection(server, timeout=30) as connection:
        connection.request("POST", "/read_by_many", b"x" * 300_000)
        assert json.loads(connection.response().body) == [300_000, ["x"]]
        body = connection.get("/write_by_many").body
        assert {byte: body.count(byte) for byte in b"0123"} == dict.fromkeys(b"0123", 100_000)
        connection.request("POST", "/read_and_write", b"x" * 1_000_000)
        assert connection.response().body == b"y" * 1_000_000 + b" 1000000"
