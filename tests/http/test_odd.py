"""Corners that applications and clients seldom reach."""

import json
import re
import time
from pathlib import Path

import pytest

from harness import Server, StartServer, eventually
from rawhttp import Connection, fetch

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server("odd:app", HERE)


# spec: http 4
# spec: http 20
@pytest.mark.parametrize("path", ["/trailers-none", "/trailers-empty", "/trailers-missing", "/trailers-unfinished"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_announced_trailers_that_do_not_come_end_the_body_all_the_same(server: Server, path: str, version: str) -> None:
    with Connection(server) as connection:
        connection.send(f"GET {path} HTTP/{version}\r\nhost: test\r\n\r\n")
        if version == "1.0":
            assert connection.rest().endswith(b"\r\n\r\nhi")
            return
        assert connection.response().body == b"hi"
        assert connection.get("/").body == b"hi"


# spec: http 18
@pytest.mark.parametrize(
    ("path", "name"), [("/cancelled", "CancelledError: by itself"), ("/ended", "GeneratorExit: by itself")]
)
def test_an_exception_of_any_kind_is_in_the_log_with_its_id_and_once(server: Server, path: str, name: str) -> None:
    response = fetch(server, path)
    error = re.search("error id: ([0-9a-f]{16})", response.text)
    assert response.status == 500
    assert error
    server.wait_for(rf"exception in ASGI application \[id {error[1]}\]")
    server.wait_for(name)
    assert fetch(server, "/").status == 200
    assert server.stderr.text().count(name) == 1


# spec: http 9
# spec: http 17
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", b"a\x01b"),
        ("x-a", b"\x7f"),
        ("x-a", b"\x0b"),
        ("content-length", b"zz"),
        ("Content-Length", b""),
        ("content-length", b"+5"),
    ],
)
def test_a_value_that_can_t_be_sent_is_an_exception_at_send(server: Server, name: str, value: bytes) -> None:
    response = fetch(server, f"/bad-header?{name}={value.hex()}")
    assert json.loads(response.body).startswith(f"invalid value {value!r} of header")


# spec: http 18
# spec: process 4
def test_an_exit_in_one_request_is_a_dead_worker_to_the_others(start_server: StartServer) -> None:
    server = start_server("odd:app", HERE)
    with Connection(server) as one, Connection(server) as two:
        for connection in (one, two):
            connection.request("GET", "/waits")
        assert fetch(server, "/").status == 200  # so that both have been started
        assert fetch(server, "/exit").status == 500
        for connection in (one, two):
            response = connection.response()
            assert response.status == 502
            error = response.text.rsplit(": ", 1)[1].strip()
            server.wait_for(f'answered 502 reason="worker died" id={error}')
    eventually(lambda: fetch(server, "/").status == 200)


# spec: http 11
def test_a_client_that_has_said_all_and_listens_is_answered(server: Server) -> None:
    for _ in range(50):
        with Connection(server) as connection:
            connection.request("GET", "/").finish_sending()
            assert connection.response().body == b"hi"
            assert connection.ends()
    began = time.monotonic()
    with Connection(server) as connection:
        assert connection.request("GET", "/waits").finish_sending().ends()
    assert time.monotonic() - began < 5
