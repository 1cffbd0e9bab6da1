"""From a request to a WebSocket, or to an answer that says why not."""

import json
from pathlib import Path

import pytest

from harness import Server, StartServer
from rawhttp import Connection, fetch
from rawsocket import TEXT, WebSocket, frame, handshake

HERE = Path(__file__).parent
WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [environ["HTTP_UPGRADE"].encode()]
"""


def seen(server: Server, **fields: str | None) -> dict[str, object]:
    with WebSocket(server, "/scope", **fields) as s:
        found = s.receive()
        assert isinstance(found, str)
        return json.loads(found)


# spec: websocket 4
def test_what_the_application_knows(server: Server) -> None:
    found = seen(server, sec_websocket_protocol="one, two")
    assert (found["type"], found["scheme"], found["path"], found["http_version"]) == ("websocket", "ws", "/scope", "1.1")
    assert found["subprotocols"] == ["one", "two"]
    assert found["extensions"] == {"websocket.http.response": {}, "awaitd.websocket.ping": {}}


# spec: websocket 9
def test_the_origin_is_passed_on_and_not_judged(server: Server) -> None:
    for origin in ("https://evil.example", "null", None):
        fields = dict(seen(server, origin=origin)["headers"])
        assert fields.get("origin") == origin
        assert "sec-websocket-key" in fields


# spec: websocket 4
def test_a_subprotocol_that_was_offered_and_fields(server: Server) -> None:
    with WebSocket(server, "/accept?take=two", sec_websocket_protocol="one, two") as s:
        assert s.answer["sec-websocket-protocol"] == "two"
        assert s.answer["x-one"] == "1"
        assert s.answer.values("set-cookie") == ["a=1", "b=2"]
        refused = json.loads(s.receive())
        assert len(refused) == 3
        assert "subprotocol 'other' of websocket.accept was not offered" in refused[0]
        assert "sec-websocket-accept" in refused[1]
        assert s.closed() == (1000, "")


# spec: http 8
def test_date_and_server_are_the_servers_unless_the_application_gives_them(server: Server) -> None:
    with WebSocket(server, "/echo") as s:
        assert s.answer["server"] == "awaitd"
        assert s.answer["date"].endswith(" GMT")
    with WebSocket(server, "/dated") as s:
        assert s.answer["server"] == "mine"
        assert s.answer["date"] == "Thu, 01 Jan 1970 00:00:00 GMT"


# spec: websocket 4
def test_no_subprotocol_unless_the_application_takes_one(server: Server) -> None:
    with WebSocket(server, "/echo", sec_websocket_protocol="one, two") as s:
        assert "sec-websocket-protocol" not in s.answer
        assert s.send("a").receive() == "a"


# spec: websocket 4
@pytest.mark.parametrize(("path", "status"), [("/refuse", 403), ("/return", 403), ("/raise", 500)])
def test_refused(server: Server, path: str, status: int) -> None:
    server.stderr.clear()
    with Connection(server) as connection:
        answer = connection.send(handshake(path)).response()
        assert answer.status == status
        assert "upgrade" not in answer
        assert "sec-websocket-accept" not in answer
        if status == 403:
            assert answer.body == b""
    if path == "/raise":
        server.wait_for("RuntimeError: before the handshake")


# spec: websocket 4
def test_a_refused_client_may_ask_for_something_else_on_the_connection(server: Server) -> None:
    with Connection(server) as connection:
        assert connection.send(handshake("/refuse")).response().status == 403
        assert connection.get("/hello").text == "hello"


# spec: websocket 4
def test_a_denial_is_the_applications_response(server: Server) -> None:
    with Connection(server) as connection:
        answer = connection.send(handshake("/deny")).response()
        assert (answer.status, answer["www-authenticate"], answer.text) == (401, "Basic", "who is it?")


# spec: websocket 4
def test_what_a_client_sends_with_its_handshake_is_kept(server: Server) -> None:
    early = b"".join(frame(TEXT, f"early {n}".encode()) for n in range(40))
    with WebSocket(server, "/echo", early=early) as s:
        assert [s.receive() for _ in range(40)] == [f"early {n}" for n in range(40)]


# spec: websocket 4
def test_what_a_client_sends_before_it_is_accepted_is_kept(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(handshake("/late?note=late&gate=late"))
        server.wait_for("late: waits")
        connection.send(frame(TEXT, b"first") + frame(TEXT, b"one-", fin=False))
        fetch(server, "/open?gate=late")
        assert connection.head().status == 101
        connection.send(frame(0, b"two"))
        assert connection.read(16) == b"\x81\x05first" + b"\x81\x07one-two"


# spec: websocket 4
# spec: websocket 5
def test_a_client_that_leaves_before_it_is_accepted(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(handshake("/left?note=left&gate=left"))
        server.wait_for("left: waits")
    server.wait_for(r"left: websocket\.disconnect 1006")
    fetch(server, "/open?gate=left")
    server.wait_for("left: ClientDisconnected")


# spec: websocket 9
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"sec_websocket_key": None}, 400),
        ({"sec_websocket_key": "short"}, 400),
        ({"sec_websocket_version": "8"}, 426),
        ({"sec_websocket_version": None}, 426),
        ({"sec_websocket_extensions": "permessage-deflate; ="}, 400),
        ({"content_length": "3"}, 400),
    ],
)
def test_a_wrong_handshake(server: Server, fields: dict[str, str | None], status: int) -> None:
    with Connection(server) as connection:
        answer = connection.send(handshake("/echo", **fields)).response()
        assert answer.status == status
        assert "sec-websocket-accept" not in answer
        if status == 426:
            assert answer["sec-websocket-version"] == "13"
            assert answer["upgrade"] == "websocket"
            assert answer["connection"] == "close, upgrade"


# spec: websocket 9
def test_a_plain_request_is_none(server: Server) -> None:
    for fields in ({}, {"upgrade": "h2c", "connection": "upgrade"}, {"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ=="}):
        assert fetch(server, "/plain", **fields).text == "plain http"
    with Connection(server) as connection:  # RFC 9110 §7.8: Upgrade was for another hop
        assert connection.send(handshake("/plain", connection="keep-alive")).response().text == "plain http"
    with Connection(server) as connection:
        assert connection.send(handshake("/plain").replace(b"HTTP/1.1", b"HTTP/1.0")).rest_or_response().status == 200


def test_to_a_wsgi_application_it_is_a_plain_request(run: StartServer, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(WSGI)
    server = run(target="main:app", app_dir=tmp_path)
    with Connection(server) as connection:
        answer = connection.send(handshake("/")).response()
        assert (answer.status, answer.text) == (200, "websocket")
        assert connection.send(handshake("/")).response().text == "websocket"


# spec: websocket 9
def test_none_of_it(run: StartServer) -> None:
    server = run("--ws", "none")
    with Connection(server) as connection:
        assert connection.send(handshake("/plain")).response().text == "plain http"
        assert connection.get("/hello").text == "hello"
