"""What goes back to the client: framing, the server's own fields, and responses that break the rules."""

import json
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from harness import Server, StartServer
from rawhttp import Connection, Response, fetch

HERE = Path(__file__).parent
HEAD_10 = "GET /script HTTP/1.0\r\n"
HEAD_11 = "GET /script HTTP/1.1\r\nhost: test\r\n"


def script(*steps: Any, head: str = HEAD_11, more: str = "") -> str:
    """A request whose answer is the messages given."""
    return f"{head}x-script: {json.dumps(steps)}\r\n{more}\r\n"


def one(server: Server, raw: str, to: str = "GET") -> Response:
    with Connection(server) as connection:
        return connection.send(raw).response(to)


# spec: http 6
@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_a_body_never_has_one(server: Server, status: int) -> None:
    with Connection(server) as connection:
        connection.send(script([status, []], "a body", head=HEAD_11))
        response = connection.response()
        assert (response.status, response.body) == (status, b"")
        assert response.values("content-length") == (["0"] if status == 205 else [])
        assert "transfer-encoding" not in response
        assert connection.get("/hello").text == "Hello, world!"


# spec: http 6
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("HEAD", 304)])
def test_the_content_length_of_what_get_would_have_survives(server: Server, method: str, status: int) -> None:
    with Connection(server) as connection:
        connection.send(script([status, [["content-length", "1234"]]], "", head=HEAD_11.replace("GET", method)))
        assert connection.response(method)["content-length"] == "1234"
        assert connection.get("/hello").status == 200


# spec: http 6
@pytest.mark.parametrize("target", ["/hello", "/flood?blocks=20", "/flood?blocks=20&length=1", "/scope"])
def test_head_has_the_head_and_nothing_else(server: Server, target: str) -> None:
    with Connection(server) as connection:
        assert connection.request("HEAD", target).response("HEAD").status == 200
        assert connection.get("/hello").text == "Hello, world!"


# spec: http 6
def test_the_servers_own_answers_to_head_have_no_body(server: Server) -> None:
    with Connection(server) as connection:
        response = connection.send(script({"raise": "oh"}, head=HEAD_11.replace("GET", "HEAD"))).response("HEAD")
        assert response.status == 500
        assert connection.get("/hello").text == "Hello, world!"


# spec: http 7
def test_what_exceeds_the_content_length_never_reaches_the_wire(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(script([200, [["content-length", "5"]]], ["hel", True], ["lo, world", True], "more"))
        assert connection.response().body == b"hello"
        assert connection.get("/hello").text == "Hello, world!"
    server.wait_for("more than its Content-Length.* bytes=11 ")


# spec: http 7
def test_less_than_the_content_length_aborts_the_connection(server: Server) -> None:
    with Connection(server) as connection:
        head = connection.send(script([200, [["content-length", "10"]]], "hello")).head()
        assert head["content-length"] == "10"
        assert connection.rest() == b"hello"
    server.wait_for("less than its Content-Length.* bytes=5 ")


# spec: http 7
def test_the_applications_transfer_encoding_is_ignored(server: Server) -> None:
    raw = script([200, [["transfer-encoding", "gzip"], ["content-length", "5"], ["transfer-encoding", "chunked"]]], "hello")
    response = one(server, raw)
    assert (response.body, "transfer-encoding" in response) == (b"hello", False)


# spec: http 7
@pytest.mark.parametrize("value", ["close", "Keep-Alive, Close"])
def test_the_applications_connection_close_is_honoured(server: Server, value: str) -> None:
    with Connection(server) as connection:
        response = connection.send(script([200, [["Connection", value]]], "hello")).response()
        assert (response["connection"], response.body) == ("close", b"hello")
        assert connection.ends()


# spec: http 7
def test_the_clients_connection_close_is_honoured(server: Server) -> None:
    with Connection(server) as connection:
        assert connection.get("/hello", connection="close")["connection"] == "close"
        assert connection.ends()


# spec: http 7
@pytest.mark.parametrize("value", ["-1", "5, 5", "five", ""])
def test_an_invalid_content_length_is_a_500(server: Server, value: str) -> None:
    assert one(server, script([200, [["content-length", value]]], "hello")).status == 500


# spec: http 8
def test_a_body_without_a_length_is_chunked_on_1_1_and_ends_with_the_connection_on_1_0(server: Server) -> None:
    steps = ([200, []], ["hello, ", True], ["", True], "world")
    response = one(server, script(*steps))
    assert (response["transfer-encoding"], response.text) == ("chunked", "hello, world")
    with Connection(server) as connection:
        response = connection.send(script(*steps, head=HEAD_10, more="connection: keep-alive\r\n")).response()
        assert (response.values("connection"), response.text) == ([], "hello, world")
        assert "transfer-encoding" not in response


# spec: http 8
def test_a_whole_body_has_its_length(server: Server) -> None:
    assert one(server, script([200, []], "hello"))["content-length"] == "5"
    assert one(server, script([200, []], ""))["content-length"] == "0"


# spec: http 8
def test_date_and_server_are_added_unless_given(server: Server) -> None:
    response = fetch(server, "/hello")
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", response["date"])
    assert parsedate_to_datetime(response["date"]).tzinfo
    assert response["server"] == "awaitd"
    response = one(server, script([200, [["Date", "today"], ["SERVER", "mine"]]], ""))
    assert (response["date"], response["server"]) == ("today", "mine")


# spec: http 8
def test_date_and_server_can_be_switched_off_and_fields_added(start_server: StartServer) -> None:
    switches = ("--no-date-header", "--no-server-header", "--header", "X-Frame-Options: DENY", "--header", "x-two:2")
    server = start_server("app:app", HERE, *switches)
    for response in (fetch(server, "/hello"), fetch(server, "/ ", host="a"), one(server, script({"raise": "oh"}))):
        assert ("date" in response, "server" in response) == (False, False)
        assert (response["x-frame-options"], response["x-two"]) == ("DENY", "2")


# spec: http 9
@pytest.mark.parametrize(
    "field",
    [
        *(["x", f"a{byte}b"] for byte in "\r\n\0\x01\x7f"),
        ["x", "a\r\nset-cookie: b=c"],
        *([f"a{byte}b", "x"] for byte in "\r\n\0 :\x7fé"),
        ["", "x"],
    ],
    ids=repr,
)
def test_a_response_that_would_break_the_head_is_a_500(server: Server, field: list[str]) -> None:
    with Connection(server) as connection:
        response = connection.send(script([200, [["x-good", "1"], field]], "hello")).response()
        assert (response.status, "x-good" in response, "set-cookie" in response) == (500, False, False)
        assert re.search("error id: [0-9a-f]{16}", response.text)
        assert connection.get("/hello").text == "Hello, world!"


# spec: http 9
@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000, 99999])
def test_a_status_that_is_no_final_status_is_a_500(server: Server, status: int) -> None:
    with Connection(server) as connection:
        assert connection.send(script([status, []], "hello")).response().status == 500


# spec: http 9
def test_a_head_that_is_too_large_is_a_500(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(script({"type": "http.response.start", "status": 200, "headers": "HUGE"}))
        assert connection.response().status == 500
        assert connection.get("/hello").text == "Hello, world!"


# spec: http 10
def test_bytes_are_latin_1_both_ways_and_names_lower_case(server: Server) -> None:
    fields = "HOST: test\r\nX-Name: \xe4\xf6 \xff\r\nx-name: two\r\nX-NAME: \xe4\xf6 \xff\r\n"
    raw = f"GET /caf%C3%A9/\xe9?q=\xfc HTTP/1.1\r\n{fields}\r\n"
    scope = json.loads(one(server, raw).body)
    assert scope["headers"] == [["host", "test"], ["x-name", "\xe4\xf6 \xff"], ["x-name", "two"], ["x-name", "\xe4\xf6 \xff"]]
    assert (scope["raw_path"], scope["query_string"]) == ("/caf%C3%A9/\xe9", "q=\xfc")


# spec: http 10
def test_order_and_duplicates_of_response_fields_are_kept(server: Server) -> None:
    fields = [
        ["X-B", "2"],
        ["set-cookie", "a=1"],
        ["x-a", "\xe9\xff"],
        ["Set-Cookie", "b=2"],
        ["x-b", ""],
        ["set-cookie", "a=1"],
    ]
    response = one(server, script([200, fields], ""))
    names = {"x-a", "x-b", "set-cookie"}
    assert [(n.lower(), v) for n, v in response.fields if n.lower() in names] == [(n.lower(), v) for n, v in fields]
