"""Connections: pipelining, 100-continue, and clients that are slow, leave halfway or vanish."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from harness import Server, StartServer, cpu_seconds, descriptors, eventually, resident, stopped
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
MIB = 1 << 20


def event(server: Server, of: str, word: str) -> list[str]:
    """Waits until the application has noted a word, and gives all it has noted there."""
    return list(json.loads(fetch(server, f"/event?of={of}&is={word}").body))


def noted(server: Server, of: str) -> list[str]:
    return list(json.loads(fetch(server, f"/all-events?of={of}").body))


def get(target: str) -> str:
    return f"GET {target} HTTP/1.1\r\nhost: test\r\n\r\n"


# spec: http 4
def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    with Connection(server) as connection:
        connection.send("".join(get(f"/{n}") for n in range(100)))
        assert [json.loads(connection.response().body)["path"] for _ in range(100)] == [f"/{n}" for n in range(100)]


# spec: http 4
def test_pipelined_requests_with_bodies_are_answered_in_order(server: Server) -> None:
    bodies = [bytes([65 + n]) * n * 7919 for n in range(20)]
    with Connection(server) as connection:
        for body in bodies:
            connection.request("POST", "/echo", body)
        assert [connection.response().body for _ in bodies] == bodies


# spec: http 4
def test_nothing_of_the_second_is_dispatched_before_the_first_is_done(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(get("/hello?gate=first&note=pipeline") + get("/hello?note=pipeline"))
        assert event(server, "pipeline", "begun") == ["begun"]
        fetch(server, "/open-gate?gate=first")
        assert [connection.response().text for _ in range(2)] == ["Hello, world!"] * 2
    assert event(server, "pipeline", "answered") == ["begun", "answered"] * 2


# spec: http 4
def test_what_is_pipelined_without_reading_the_answers_is_bounded(server: Server) -> None:
    count = 600
    before = resident(server.pid)
    with Connection(server) as connection:
        connection.send(get("/block?note=unread") * count)
        begun = settled(lambda: len(noted(server, "unread")))
        assert begun < count / 2
        assert resident(server.pid) - before < 10 * MIB
        assert all(len(connection.response().body) == 60000 for _ in range(count))


def settled(look: Callable[[], int]) -> int:
    """A number once it has stopped to grow: each look is a request of its own, which takes the server a turn."""
    numbers = [look()]
    while len(numbers) < 50 or numbers[-1] != numbers[-50]:
        numbers.append(look())
    return numbers[-1]


# spec: http 3
# spec: http 11
def test_a_client_that_reads_late_gets_every_answer(start_server: StartServer) -> None:
    server = start_server("app:app", HERE, "--no-access-log", "--timeout-keep-alive", "0.2")
    with Connection(server) as connection:
        connection.send(get("/block") * 300)
        with Connection(server) as other:
            assert other.get("/hello").status == 200
            assert other.ends()  # after the time for an idle connection
        assert all(len(connection.response().body) == 60000 for _ in range(300))
        assert connection.ends()


CONTINUE = "POST {} HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n"


# spec: http 5
def test_100_is_sent_when_the_application_first_receives(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(CONTINUE.format("/sink?gate=expect&note=expect"))
        event(server, "expect", "begun")
        connection.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.socket.recv(1)
        connection.socket.settimeout(10)
        fetch(server, "/open-gate?gate=expect")
        assert connection.head().status == 100
        assert json.loads(connection.send("hello").response().body)["bytes"] == 5
        assert connection.get("/hello").status == 200


# spec: http 5
def test_a_final_status_without_reading_closes(server: Server) -> None:
    with Connection(server) as connection:
        response = connection.send(CONTINUE.format("/unread")).response()
        assert (response.status, response["connection"]) == (200, "close")
        assert connection.ends()


# spec: http 5
def test_no_100_for_a_client_that_does_not_wait(server: Server) -> None:
    with Connection(server) as connection:
        assert connection.send(CONTINUE.format("/echo") + "hello").response().body == b"hello"
        assert connection.get("/hello").status == 200


# spec: http 5
def test_no_100_for_http_1_0(server: Server) -> None:
    with Connection(server) as connection:
        raw = CONTINUE.format("/echo").replace("HTTP/1.1", "HTTP/1.0")
        assert connection.send(raw + "hello").response().body == b"hello"


# spec: http 5
@pytest.mark.parametrize(("declared", "sent", "stays"), [(5, 5, True), (100_000, 70_000, True), (2_000_000, 70_000, False)])
def test_an_unread_body_is_skipped_or_the_connection_closed(server: Server, declared: int, sent: int, stays: bool) -> None:
    with Connection(server) as connection:
        connection.send(f"POST /unread HTTP/1.1\r\nhost: test\r\ncontent-length: {declared}\r\n\r\n".encode() + bytes(sent))
        response = connection.response()
        assert response.text == "did not read"
        assert ("connection" in response) != stays
        if stays:
            connection.send(bytes(declared - sent))
            assert connection.get("/hello").status == 200
        else:
            assert connection.ends()


# Clients that are slow, leave halfway or vanish. Each of these tests ends with a look at the server as a whole.


@contextmanager
def undisturbed(server: Server) -> Iterator[None]:
    """Nothing is left behind: no descriptor, no memory, nothing to do; and another connection is served meanwhile."""
    with Connection(server) as other:
        assert other.get("/hello").status == 200
        before, memory = descriptors(server.pid), resident(server.pid)
        yield
        assert other.get("/hello").status == 200
        eventually(lambda: descriptors(server.pid) == before)
        assert resident(server.pid) - memory < 16 * MIB


REQUEST = (
    b"POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\nx: y\r\n\r\n"
)


# spec: http 11
@pytest.mark.parametrize("leave", ["reset", "close", "finish_sending"])
def test_clients_that_leave_after_any_byte(server: Server, leave: str) -> None:
    with undisturbed(server):
        for end in range(len(REQUEST) + 1):
            connection = Connection(server).send(REQUEST[:end])
            getattr(connection, leave)()
            if leave == "finish_sending":
                assert connection.rest()[:15] in (b"", b"HTTP/1.1 200 OK"[: 15 * (end == len(REQUEST))])
                connection.close()


# spec: http 11
def test_clients_that_leave_after_any_byte_of_the_answer(server: Server) -> None:
    with undisturbed(server):
        for n in range(1, 200, 3):
            with Connection(server) as connection:
                connection.send(get("/flood?blocks=3"))
                connection.read(n)
                connection.reset()


# spec: http 11
def test_clients_that_vanish_while_100_is_awaited(server: Server) -> None:
    with undisturbed(server):
        for n in range(50):
            connection = Connection(server).send(CONTINUE.format(f"/sink?gate=vanish{n}&note=vanish{n}"))
            opener = Connection(server)
            event(server, f"vanish{n}", "begun")
            opener.send(get(f"/open-gate?gate=vanish{n}"))
            connection.reset()
            assert opener.response().status == 200
            opener.close()


# spec: http 11
def test_slow_writers(server: Server) -> None:
    with undisturbed(server), ExitStack() as stack:
        connections = [stack.enter_context(Connection(server)) for _ in range(20)]
        for byte in REQUEST:
            for connection in connections:
                connection.send(bytes([byte]))
        assert all(connection.response().body == b"helloabc" for connection in connections)


# spec: http 11
def test_slow_readers(server: Server) -> None:
    with undisturbed(server), ExitStack() as stack:
        connections = [stack.enter_context(Connection(server)) for _ in range(5)]
        for connection in connections:
            connection.send(get("/flood?blocks=200&length=1"))
        assert fetch(server, "/hello").status == 200
        for connection in connections:
            assert len(connection.response().body) == 200 * 65536


# spec: http 11
def test_a_client_that_has_finished_sending_gets_its_whole_answer(server: Server) -> None:
    with undisturbed(server), Connection(server) as connection:
        with stopped(server):  # so that it sees the request and the end at the same time
            connection.send(get("/flood?blocks=200&note=half")).finish_sending()
        event(server, "half", "flowing")
        assert len(connection.response().body) == 200 * 65536


@pytest.fixture(scope="module")
def hasty(start_server: StartServer) -> Iterator[Server]:
    """A server that closes idle connections after half a second: a time that passes without anything to do."""
    server = start_server("app:app", HERE, "--no-access-log", "--timeout-keep-alive", "0.5")
    yield server
    fetch(server, "/open-gate?gate=never")


# spec: http 11
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /hello HTTP/1.1\r\nhost",
        b"POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhello",
        b"GET /hello?gate=never HTTP/1.1\r\nhost: test\r\n\r\n",
        b"GET /flood?blocks=1000 HTTP/1.1\r\nhost: test\r\n\r\n",
        b"GET /until-disconnect HTTP/1.1\r\nhost: test\r\n\r\n",
        b"POST /hello?gate=never HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n" + bytes(300_000),
        b"POST /unread HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n" + bytes(300_000),
        b"POST /unread HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhello" + b"GET /hello HTTP/1.1\r\n",
    ],
    ids=["nothing", "head", "body", "no answer", "no reader", "open stream", "body unread", "lingering", "pipelined"],
)
@pytest.mark.parametrize("half_closed", [False, True], ids=["open", "half-closed"])
def test_a_connection_that_waits_costs_no_time(hasty: Server, sent: bytes, half_closed: bool) -> None:
    with Connection(hasty) as connection, Connection(hasty) as other:
        connection.send(sent)
        if half_closed:
            connection.finish_sending()
        assert other.get("/hello").status == 200
        used = cpu_seconds(hasty.pid)
        assert other.ends()
        assert cpu_seconds(hasty.pid) - used < 0.1
