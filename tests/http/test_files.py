"""Files that the server sends for the application, by path and by descriptor, seen from the client."""

import hashlib
import os
import random
import resource
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import Server, StartServer, descriptors, eventually
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
SMALL = random.Random(1).randbytes(1000)
LARGE = random.Random(2).randbytes(20_000_000)  # more than any socket's buffers
WAYS = ["/path", "/descriptor"]


@pytest.fixture(scope="module")
def server(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("files")
    (folder / "small").write_bytes(SMALL)
    (folder / "large").write_bytes(LARGE)
    (folder / "empty").write_bytes(b"")
    return start_server("files:app", HERE, "--no-access-log", FOLDER=str(folder))


def open_in_worker(server: Server) -> int:
    return int(fetch(server, "/descriptors").body)


# spec: http 20
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("name", "content"), [("small", SMALL), ("large", LARGE), ("empty", b"")])
def test_a_whole_file(server: Server, way: str, name: str, content: bytes) -> None:
    with Connection(server) as connection:
        for length in ("", f"&length={len(content)}"):
            response = connection.get(f"{way}?name={name}{length}")
            assert hashlib.sha256(response.body).digest() == hashlib.sha256(content).digest()
            assert ("content-length" in response) == bool(length)
        assert connection.get("/descriptors").status == 200  # the connection goes on


# spec: http 20
# spec: http 8
@pytest.mark.parametrize("way", WAYS)
def test_a_file_to_a_client_of_http_1_0(server: Server, way: str) -> None:
    with Connection(server) as connection:
        assert connection.send(f"GET {way}?name=small HTTP/1.0\r\n\r\n").response().body == SMALL


# spec: http 20
@pytest.mark.parametrize(("offset", "count"), [(0, 1), (990, 10), (990, 100), (5, 0), (1000, 1), (5000, 1)])
def test_a_part_of_a_file(server: Server, offset: int, count: int) -> None:
    assert fetch(server, f"/descriptor?name=small&offset={offset}&count={count}").body == SMALL[offset : offset + count]


# spec: http 20
def test_parts_of_a_file_between_other_parts_of_the_body(server: Server) -> None:
    expected = b"<" + SMALL[10:15] + b"|" + SMALL[100:130]
    assert fetch(server, "/parts?name=small&offset=100&count=30").body == expected
    length = f"&length={len(expected)}"
    assert fetch(server, f"/parts?name=small&offset=100&count=30{length}").body == expected


# spec: http 20
def test_the_position_of_a_file_that_others_have_open_too_does_not_matter(server: Server) -> None:
    """The application moves it, and sends the same file to others, while a slow client still has most of it to come."""
    with Connection(server) as slow, Connection(server) as quick:
        slow.request("GET", "/shared?offset=1000&seek=7").head()
        assert quick.get("/shared?count=50&seek=500").body == LARGE[107:157]  # where the first one's read has left it
        assert quick.get("/shared?seek=9").body == LARGE[600:]
        body = b""
        while chunk := slow.chunk():
            body += chunk
        assert hashlib.sha256(body).digest() == hashlib.sha256(LARGE[1000:]).digest()


# spec: http 6
@pytest.mark.parametrize("way", WAYS)
def test_head_has_no_body_and_nothing_stays_open(server: Server, way: str) -> None:
    before = open_in_worker(server), descriptors(server.pid)
    with Connection(server) as connection:
        for _ in range(20):
            response = connection.request("HEAD", f"{way}?name=large&length={len(LARGE)}").response("HEAD")
            assert response["content-length"] == str(len(LARGE))
        assert connection.get("/descriptors").status == 200
    eventually(lambda: (open_in_worker(server), descriptors(server.pid)) <= before)


# spec: http 11
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_nothing_stays_open_when_clients_leave(server: Server, way: str, leave: str) -> None:
    before = open_in_worker(server), descriptors(server.pid)
    with ExitStack() as connections:
        for n in range(30):
            connection = connections.enter_context(Connection(server))
            connection.request("GET", f"{way}?name=large")
            if n % 3:  # the others leave at any point before
                connection.head()
                connection.read(1000)
            getattr(connection, leave)()
    eventually(lambda: (open_in_worker(server), descriptors(server.pid)) <= before)


# spec: http 20
def test_more_files_at_once_than_may_wait_for_their_frames(server: Server) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(server)) for _ in range(400)]
        for connection in connections:
            connection.send("GET /descriptor?name=small HTTP/1.1\r\nhost: test\r\n\r\n" * 3)
        for connection in connections:
            assert [connection.response().body for _ in range(3)] == [SMALL] * 3


# spec: process 17
def test_a_server_without_a_descriptor_free_fails_the_request_and_goes_on(server: Server) -> None:
    with Connection(server) as connection:
        assert connection.get("/descriptors").status == 200
        used = {int(name) for name in os.listdir(f"/proc/{server.pid}/fd")}
        limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (min(set(range(10_000)) - used), limits[1]))
        try:
            assert connection.request("GET", "/descriptor?name=small").head().status == 200
            assert connection.ends()
            server.wait_for("can't send a file.*its descriptor was lost: too many files are open")
        finally:
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
    assert fetch(server, "/descriptor?name=small").body == SMALL


def test_less_than_the_content_length_aborts_the_connection(server: Server) -> None:
    with Connection(server) as connection:
        connection.request("GET", "/descriptor?name=small&length=2000").head()
        assert connection.rest() == SMALL
