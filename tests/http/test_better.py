"""Behaviour that other servers have beyond what the specifications ask, and that awaitd keeps: server-behavior.md, line 27."""

import json
from pathlib import Path

import pytest

from harness import Server, StartServer
from rawhttp import Connection, fetch

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server("odd:app", HERE, "--no-access-log")


# spec: http 27
def test_an_empty_line_before_a_request_is_skipped(server: Server) -> None:
    with Connection(server) as connection:
        for _ in range(2):
            assert connection.send("\r\nGET / HTTP/1.1\r\nhost: test\r\n\r\n").response().body == b"hi"


# spec: http 27
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_response_that_is_whole_at_once_has_a_length(server: Server, version: str, method: str) -> None:
    with Connection(server) as connection:
        connection.send(f"{method} / HTTP/{version}\r\nhost: test\r\nconnection: keep-alive\r\n\r\n")
        response = connection.response(method)
        assert response["content-length"] == "2"
        assert "transfer-encoding" not in response
        assert connection.get("/").body == b"hi"  # so HTTP/1.0 can keep the connection


# spec: http 27
def test_an_answer_to_an_upload_that_goes_on_is_not_lost_to_a_reset(server: Server) -> None:
    for _ in range(10):
        with Connection(server) as connection:
            connection.send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10000000\r\n\r\n")
            for _ in range(20):
                connection.send(bytes(10_000))
            response = connection.response()
            assert (response.status, response.body, response["connection"]) == (200, b"hi", "close")


# spec: http 27
def test_refusals_say_what_would_be_accepted(start_server: StartServer) -> None:
    server = start_server("odd:app", HERE, "--limit-concurrency", "1", "--limit-queue", "0")
    with Connection(server) as connection:
        response = connection.send("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n").response()
        assert response.status == 405
        assert "GET" in response["allow"]
    with Connection(server) as busy:
        busy.request("GET", "/starts-and-waits").head()
        response = fetch(server, "/")
        assert (response.status, response["retry-after"]) == (503, "1")


# spec: http 27
def test_the_variables_of_other_servers_are_read(start_server: StartServer) -> None:
    server = start_server("corpus:peer", HERE, WEB_CONCURRENCY="2", FORWARDED_ALLOW_IPS="127.0.0.1")
    assert "2 workers" in server.stderr.text()
    assert json.loads(fetch(server, "/", **{"x-forwarded-for": "192.0.2.7"}).body)["client"] == "192.0.2.7"


# spec: http 27
def test_fields_may_be_of_any_bytes_like_type_and_in_any_iterable(server: Server) -> None:
    response = fetch(server, "/any-fields")
    assert [value for name, value in response.fields if name.startswith("x-")] == ["1", "2", "3"]
