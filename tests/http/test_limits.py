"""Limits, each with its own status, and timeouts."""

import json
from pathlib import Path

import pytest

from harness import Server, StartServer
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
FIELD = "x: " + "v" * 100


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    limits = (
        "--limit-request-body",
        "100000",
        "--timeout-header",
        "0.2",
        "--timeout-body",
        "0.2",
        "--timeout-keep-alive",
        "0.2",
    )
    return start_server("app:app", HERE, "--no-access-log", *limits)


@pytest.fixture(scope="module")
def patient(start_server: StartServer) -> Server:
    """A server with the default limits, timeouts among them."""
    return start_server("app:app", HERE, "--no-access-log")


def head(*fields: str, target: str = "/hello") -> str:
    return f"GET {target} HTTP/1.1\r\nhost: test\r\n" + "".join(f"{field}\r\n" for field in fields) + "\r\n"


# spec: http 3
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (head(target="/" + "a" * 8000), 200),
        (head(target="/" + "a" * 8190), 414),
        ("GET /" + "a" * 8190, 414),  # and not only when the line is complete
        (head("x: " + "a" * 8000), 200),
        (head("x: " + "a" * 8190), 431),
        (head(*[FIELD] * 99), 200),
        (head(*[FIELD] * 100), 431),
        (head(*["x: " + "a" * 7000] * 8), 200),
        (head(*["x: " + "a" * 8000] * 9), 431),  # the whole head
    ],
    ids=str,
)
def test_a_head_over_a_limit_has_its_status(patient: Server, raw: str, status: int) -> None:
    with Connection(patient) as connection:
        response = connection.send(raw).response()
        assert response.status == status
        assert status == 200 or connection.ends()


# spec: http 3
def test_a_declared_body_over_the_limit_never_reaches_the_application(server: Server) -> None:
    with Connection(server) as connection:
        response = connection.send(
            "POST /echo?note=declared HTTP/1.1\r\nhost: test\r\ncontent-length: 100001\r\n\r\n"
        ).response()
        assert (response.status, response["connection"]) == (413, "close")
        assert connection.ends()
    with Connection(server) as connection:  # nor is the client asked for it
        large = "POST /echo?note=declared HTTP/1.1\r\nhost: test\r\ncontent-length: 100001\r\nexpect: 100-continue\r\n\r\n"
        assert connection.send(large).response().status == 413
    assert json.loads(fetch(server, "/all-events?of=declared").body) == []


# spec: http 3
def test_a_body_at_the_limit_is_read(server: Server) -> None:
    with Connection(server) as connection:
        assert len(connection.request("POST", "/echo", bytes(100000)).response().body) == 100000


# spec: http 3
@pytest.mark.parametrize("first", [10, 50000])
def test_a_chunked_body_is_cut_off_at_the_limit(server: Server, first: int) -> None:
    with Connection(server) as connection:
        connection.send("POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.send(f"{first:x}\r\n{'a' * first}\r\n{100001 - first:x}\r\n{'a' * (100001 - first)}\r\n0\r\n\r\n")
        assert connection.response().status == 413
        assert connection.ends()


# spec: http 3
@pytest.mark.parametrize("begun", ["G", "GET /hello HTTP/1.1\r\nHost: te"])
def test_a_head_that_takes_too_long_is_answered_with_408(server: Server, begun: str) -> None:
    with Connection(server) as connection:
        assert connection.send(begun).response().status == 408
        assert connection.ends()
    with Connection(server) as connection:
        assert connection.get("/hello").status == 200
        assert connection.send(begun).response().status == 408
        assert connection.ends()


# spec: http 3
def test_a_connection_that_says_nothing_is_closed_in_silence(server: Server) -> None:
    with Connection(server) as connection:
        assert connection.ends()


# spec: http 3
def test_an_idle_connection_is_closed_in_silence(server: Server) -> None:
    with Connection(server) as connection:
        assert connection.get("/hello").status == 200
        assert connection.get("/hello").status == 200
        assert connection.ends()


# spec: http 3
@pytest.mark.parametrize("body", ["", "abc", "a" * 70000])
def test_a_body_that_takes_too_long_is_answered_with_408(server: Server, body: str) -> None:
    with Connection(server) as connection:
        connection.send(f"POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 90000\r\n\r\n{body}")
        assert connection.response().status == 408
        assert connection.ends()


# spec: http 3
def test_time_for_a_body_counts_only_while_the_application_waits_for_it(server: Server) -> None:
    with Connection(server) as connection:
        connection.send("POST /sink?gate=late HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n")
        with Connection(server) as other:  # takes longer than the time for a body
            other.send("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\nabc")
            assert other.response().status == 408
        connection.send("a" * 100)
        assert fetch(server, "/open-gate?gate=late").status == 200
        assert connection.response().status == 200


# spec: http 3
def test_a_slow_answer_is_no_idle_connection(server: Server) -> None:
    with Connection(server) as connection:
        connection.request("GET", "/hello?gate=slow")
        with Connection(server) as other:
            assert other.get("/hello").status == 200
            assert other.ends()  # after the time for an idle connection
        fetch(server, "/open-gate?gate=slow")
        assert connection.response().status == 200


# spec: http 3
# spec: http 11
def test_a_client_that_reads_slowly_is_not_idle(server: Server) -> None:
    blocks = 64
    with Connection(server) as connection:
        connection.request("GET", f"/flood?blocks={blocks}&length=1&note=slowly")
        assert connection.head().status == 200
        with Connection(server) as other:
            assert other.get("/event?of=slowly&is=flowing").status == 200
            assert other.ends()  # after the time for an idle connection
        assert len(connection.read(blocks * 65536)) == blocks * 65536


# spec: http 3
def test_a_client_that_takes_nothing_is_cut_off_and_the_application_hears_of_it(start_server: StartServer) -> None:
    server = start_server("app:app", HERE, "--no-access-log", "--timeout-send", "0.3")
    with Connection(server) as connection:
        connection.request("GET", "/never-receives?note=stuck")
        assert fetch(server, "/event?of=stuck&is=ClientDisconnected").status == 200
        server.wait_for(r"refused: send timeout client=127\.0\.0\.1:\d+")
        with pytest.raises(ConnectionResetError):
            connection.rest()
    assert fetch(server, "/hello").status == 200


# spec: http 3
def test_refusals_are_logged_by_the_burst_and_counted(start_server: StartServer) -> None:
    server = start_server("app:app", HERE, "--no-access-log", "--timeout-header", "0.2", "--limit-request-body", "10")
    for _ in range(3):
        with Connection(server) as connection:
            assert connection.send("GET /" + "a" * 9000).response().status == 414
    with Connection(server) as connection:
        assert connection.send("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n").response().status == 400
    with Connection(server) as connection:
        assert connection.request("POST", "/echo", bytes(11)).response().status == 413
    with Connection(server) as connection:
        assert connection.send("GET / HTTP/1.1\r\nhost: ").response().status == 408
    server.wait_for("refused: request line too long status=414")
    server.wait_for('refused: malformed request status=400 reason="more than one Host" client=127.0.0.1')
    server.wait_for("refused: request body too large status=413")
    server.wait_for("refused: header timeout status=408")
    assert server.output().count("request line too long status=") == 1
