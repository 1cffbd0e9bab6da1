"""wsgi.file_wrapper over the real binary: the server sends the file, the worker is done with it at once."""

import hashlib
import json
import os
import random
import re
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from harness import Server, StartServer, descriptors, eventually
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
SMALL = random.Random(1).randbytes(1000)
LARGE = random.Random(2).randbytes(5_000_000)
SPARSE = 400 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "small").write_bytes(SMALL)
    (folder / "large").write_bytes(LARGE)
    (folder / "empty").write_bytes(b"")
    with open(folder / "sparse", "wb") as file:
        file.truncate(SPARSE)
    os.mkfifo(folder / "fifo")
    return folder


@pytest.fixture(scope="module", params=["app", "validated"])
def server(start_server: StartServer, request: pytest.FixtureRequest) -> Server:
    """In the validator files go by iteration, since what it returns is another object."""
    return start_server(f"wsgi_cases:{request.param}", HERE, "--no-access-log", "--threads", "3")


@pytest.fixture(scope="module")
def plain(start_server: StartServer) -> Server:
    return start_server("wsgi_cases:app", HERE, "--no-access-log", "--threads", "3")


def target(folder: Path, name: str, **options: object) -> str:
    return f"/whole?path={quote(str(folder / name))}" + "".join(f"&{key}={quote(str(value))}" for key, value in options.items())


def worker_state(server: Server) -> tuple[int, int, float]:
    pid, opened, seconds = json.loads(fetch(server, "/descriptors").body)
    return int(pid), int(opened), float(seconds)


def bytes_read(pid: int) -> int:
    found = re.search(r"rchar: (\d+)", Path(f"/proc/{pid}/io").read_text())
    assert found
    return int(found[1])


# spec: wsgi 6
@pytest.mark.parametrize(("name", "content"), [("small", SMALL), ("large", LARGE), ("empty", b"")])
@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("read", [0, 7, 999])
def test_a_file_goes_from_where_it_was_read_to(
    server: Server, folder: Path, name: str, content: bytes, buffered: str, read: int
) -> None:
    options = {"read": read} | ({"buffered": 1} if buffered else {})
    with Connection(server) as connection:
        response = connection.get(target(folder, name, **options))
        assert hashlib.sha256(response.body).digest() == hashlib.sha256(content[read:]).digest()
        assert connection.get("/hello").body == b"hello"
        response = connection.send(f"GET {target(folder, name, **options)} HTTP/1.0\r\n\r\n").response()
        assert response.body == content[read:]


# spec: wsgi 6
def test_the_length_is_added_where_it_is_known(plain: Server, folder: Path) -> None:
    with Connection(plain) as connection:
        assert connection.get(target(folder, "small", read=10))["content-length"] == "990"
        response = connection.request("HEAD", target(folder, "small")).response("HEAD")
        assert response["content-length"] == "1000"
        assert connection.get("/hello").body == b"hello"


# spec: wsgi 6
@pytest.mark.parametrize("length", [0, 1, 500, 993])
def test_no_more_goes_out_than_the_content_length(server: Server, folder: Path, length: int) -> None:
    with Connection(server) as connection:
        response = connection.get(target(folder, "small", read=7, length=length))
        assert (response["content-length"], response.body) == (str(length), SMALL[7 : 7 + length])
        assert connection.get("/hello").body == b"hello"


# spec: wsgi 6
def test_less_than_the_content_length_is_an_abort(server: Server, folder: Path) -> None:
    with Connection(server) as connection:
        connection.request("GET", target(folder, "small", length=1001)).head()
        assert connection.rest() == SMALL
    server.wait_for("sent less than its Content-Length")


# spec: wsgi 6
# spec: wsgi 2
@pytest.mark.parametrize("options", [{}, {"length": 1009}, {"length": 500}])
def test_what_was_written_comes_before_the_file(server: Server, folder: Path, options: dict[str, object]) -> None:
    with Connection(server) as connection:
        response = connection.get(target(folder, "small", written="written: ", **options))
        assert response.body == (b"written: " + SMALL)[: int(str(options.get("length", 2000)))]
        assert connection.get("/hello").body == b"hello"


# spec: wsgi 6
# spec: wsgi 9
@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")])
def test_where_no_body_goes_none_does(server: Server, folder: Path, method: str, status: str) -> None:
    with Connection(server) as connection:
        for _ in range(20):
            connection.request(method, target(folder, "large", status=status))
            response = connection.response(method)
            assert (response.status, response.body) == (int(status[:3]), b"")
        assert connection.get("/hello").body == b"hello"


# spec: wsgi 6
def test_the_worker_touches_no_byte_of_it(plain: Server, folder: Path) -> None:
    pid, _, seconds = worker_state(plain)
    before = bytes_read(pid)
    with Connection(plain) as connection:
        response = connection.request("GET", target(folder, "sparse")).head()
        assert connection.skip(SPARSE) == SPARSE == int(response["content-length"])
    assert bytes_read(pid) - before < 100_000
    assert worker_state(plain)[2] - seconds < 0.2


# spec: wsgi 6
def test_a_middleware_that_iterates_gets_the_same(plain: Server, folder: Path) -> None:
    response = fetch(plain, target(folder, "large", iterated=1))
    assert (response.body, response["transfer-encoding"]) == (LARGE, "chunked")


# spec: wsgi 6
# spec: wsgi 10
def test_slow_clients_of_files_hold_no_thread(plain: Server, folder: Path) -> None:
    """More of them than threads, and none reads what it asked for."""
    with ExitStack() as stack:
        slow = [stack.enter_context(Connection(plain)) for _ in range(12)]
        for connection in slow:
            connection.request("GET", target(folder, "sparse"))
        for connection in slow:
            assert connection.head().status == 200
        assert fetch(plain, "/hello").body == b"hello"


# spec: wsgi 6
# spec: wsgi 5
def test_a_fifo_stalls_nobody_and_streams(plain: Server, folder: Path) -> None:
    with Connection(plain) as connection:
        connection.request("GET", target(folder, "fifo", buffered=1))
        with open(folder / "fifo", "wb", buffering=0) as writer:  # waits for the worker's open
            for number in range(3):
                writer.write(b"part %d" % number)
                if number == 0:
                    assert connection.head().status == 200
                assert connection.chunk() == b"part %d" % number
                assert fetch(plain, "/hello").body == b"hello"
        assert connection.chunk() == b""


# spec: wsgi 6
# spec: wsgi 12
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_nothing_stays_open_when_clients_leave(server: Server, folder: Path, leave: str) -> None:
    before = worker_state(server)[1], descriptors(server.pid)
    with ExitStack() as stack:
        for number in range(30):
            connection = stack.enter_context(Connection(server))
            connection.request("GET", target(folder, "sparse"))
            if number % 3:  # the others leave at any point before
                connection.head()
                connection.read(1000)
            getattr(connection, leave)()
    eventually(lambda: (worker_state(server)[1], descriptors(server.pid)) <= before)


# spec: wsgi 6
def test_many_files_at_once(server: Server, folder: Path) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(server)) for _ in range(100)]
        for connection in connections:
            connection.send(f"GET {target(folder, 'small')} HTTP/1.1\r\nhost: test\r\n\r\n" * 3)
        for connection in connections:
            assert [connection.response().body for _ in range(3)] == [SMALL] * 3


# spec: wsgi 6
@pytest.mark.parametrize("name", ["/proc/self/status", "/proc/version"])
def test_files_of_proc(server: Server, folder: Path, name: str) -> None:
    response = fetch(server, target(folder, name))
    assert response.status == 200
    assert response.body.startswith((b"Name:", b"Linux version"))
