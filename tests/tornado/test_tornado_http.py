"""Requests to a Tornado application: what its handlers see and send, and what they hear of their clients."""

import hashlib
import json
import random
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from gates import PIECE, PIECES, counted, open_gate, settled
from harness import Server, StartServer, eventually
from rawhttp import Connection

STYLE = (Path(__file__).parent / "static" / "style.css").read_bytes()


@pytest.fixture
def name() -> str:
    """Of a gate and a counter that nothing else uses."""
    return uuid4().hex


@pytest.fixture
def http(server: Server) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=20)


# spec: jobs 6
def test_a_handler_sees_the_request(server: Server) -> None:
    with Connection(server) as c:
        c.send("GET /request/a%20b?q=1&q=%C3%BC HTTP/1.1\r\nHost: shop.test:81\r\nX: 1\r\nx: 2\r\n")
        c.send("Cookie: a=1\r\nCookie: b=2\r\n\r\n")
        assert json.loads(c.response().body) == {
            "method": "GET",
            "uri": "/request/a%20b?q=1&q=%C3%BC",
            "path": "/request/a%20b",
            "query": "q=1&q=%C3%BC",
            "version": "HTTP/1.1",
            "protocol": "http",
            "host": "shop.test:81",
            "remote_ip": "127.0.0.1",
            "context": "127.0.0.1",
            "cookies": {"a": "1", "b": "2"},
            "x": ["1", "2"],
            "certificate": None,
            "current": True,
        }
        assert json.loads(c.send("GET /request HTTP/1.0\r\n\r\n").response().body)["version"] == "HTTP/1.0"


# spec: jobs 6
def test_a_proxy_that_is_trusted_says_who_the_client_is(run: StartServer) -> None:
    server = run("--forwarded-allow-ips", "127.0.0.1")
    fields = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}
    seen = httpx.get(f"{server.url}/request", headers=fields).json()
    assert (seen["remote_ip"], seen["protocol"]) == ("203.0.113.7", "https")


# spec: jobs 6
def test_a_body_is_parsed(http: httpx.Client) -> None:
    content = random.Random(1).randbytes(300_000)
    seen = http.post("/request", data={"a": ["1", "ü"]}, files={"f": ("name", content)}).json()
    assert (seen["arguments"], seen["files"]) == ({"a": ["1", "ü"]}, {"f": [["name", len(content)]]})
    chunks = (content[n : n + 1000] for n in range(0, len(content), 1000))
    assert http.post("/request", content=chunks).json()["sha256"] == hashlib.sha256(content).hexdigest()


# spec: jobs 6
@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [("code=200", 200, "OK"), ("code=404&reason=Gone+fishing", 404, "Gone fishing"), ("code=799&reason=Odd", 799, "Odd")],
)
def test_status_reason_and_fields(server: Server, query: str, status: int, reason: str) -> None:
    with Connection(server) as c:
        answer = c.get(f"/status?{query}&cookie=x")
        assert (answer.status, answer.reason) == (status, reason)
        assert answer.values("x-twice") == ["one", "two"]
        assert answer.values("set-cookie") == ["c=x; Path=/"]
        assert answer["server"].startswith("TornadoServer/")
        assert answer["date"]
        assert b"\r\nX-Twice: one\r\n" in answer.head, "names as Tornado writes them"


# spec: jobs 6
def test_no_body_where_there_is_none(server: Server) -> None:
    with Connection(server) as c:
        for code in (204, 304):
            answer = c.get(f"/status?code={code}")
            assert (answer.status, "transfer-encoding" in answer) == (code, False)
        head = c.request("HEAD", "/request").response(to="HEAD")
        assert int(head["content-length"]) > 100
        assert c.get("/request").status == 200


# spec: jobs 6
def test_a_generator_coroutine(http: httpx.Client) -> None:
    assert http.get("/coroutine").json() == {"first": 1, "other_thread": True, "third": {"x": "slept"}}


# spec: jobs 6
def test_an_etag_is_answered_with_304(http: httpx.Client) -> None:
    first = http.get("/coroutine")
    assert http.get("/coroutine", headers={"if-none-match": first.headers["etag"]}).status_code == 304


# spec: jobs 6
def test_static_files(http: httpx.Client) -> None:
    whole = http.get("/static/style.css")
    assert (whole.content, whole.headers["content-type"]) == (STYLE, "text/css")
    for field, value in (("if-none-match", "etag"), ("if-modified-since", "last-modified")):
        assert http.get("/static/style.css", headers={field: whole.headers[value]}).status_code == 304
    part = http.get("/static/style.css", headers={"range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, STYLE[2:6])
    assert part.headers["content-range"] == f"bytes 2-5/{len(STYLE)}"
    assert http.get("/static/style.css", headers={"range": "bytes=900-"}).status_code == 416
    assert int(http.head("/static/style.css").headers["content-length"]) == len(STYLE)
    assert http.get("/static/../app.py").status_code in (403, 404)


# spec: jobs 6
def test_redirect_error_and_other_handlers(http: httpx.Client) -> None:
    assert http.get("/old").headers["location"] == "/request"
    assert (http.get("/gone").status_code, http.get("/nowhere").status_code) == (410, 404)
    assert http.request("BREW", "/request").status_code == 405
    assert http.post("/wsgi", content=b"body").text == "POST body"


# spec: jobs 6
def test_flush_sends(server: Server, name: str) -> None:
    with Connection(server) as c:
        c.request("GET", f"/stream/{name}")
        assert c.head()["transfer-encoding"] == "chunked"
        assert c.chunk() == b"first\n"
        open_gate(server, name)
        assert c.chunk() == b"last\n"
        assert c.chunk() == b""


# spec: jobs 6
def test_flush_waits_for_a_slow_client(server: Server, name: str) -> None:
    with Connection(server) as c:
        c.request("GET", f"/pour/{name}")
        assert settled(server, name) < PIECES / 2, "it has written what nobody reads"
        c.head()
        assert c.skip(PIECE * PIECES) == PIECE * PIECES
    assert counted(server, name) == PIECES


# spec: jobs 6
def test_nobody_has_to_wait_for_flush(server: Server) -> None:
    with Connection(server) as c:
        assert len(c.get("/at-once").body) == PIECE * PIECES // 16
        assert c.get("/request").status == 200


# spec: jobs 6
def test_a_flush_that_waits_hears_of_the_client_that_leaves(server: Server, name: str) -> None:
    with Connection(server) as c:
        c.request("GET", f"/pour/{name}")
        settled(server, name)
    server.wait_for(f"^{name}: closed$")


# spec: jobs 6
def test_data_received_holds_the_upload_back(server: Server, name: str) -> None:
    content = random.Random(2).randbytes(32 << 20)
    with Connection(server) as c:
        c.request("PUT", f"/upload/{name}", content_length=str(len(content)))
        c.socket.setblocking(False)
        sent = 0

        def is_full() -> bool:
            nonlocal sent
            try:
                sent += c.socket.send(content[sent : sent + (1 << 20)])
            except BlockingIOError:
                return counted(server, name) > 0
            return False

        eventually(is_full)
        assert counted(server, name) <= 1 << 16, "one piece is in the handler's hands"
        c.socket.settimeout(20)
        open_gate(server, name)
        assert c.send(content[sent:]).response().text == hashlib.sha256(content).hexdigest()


# spec: jobs 6
def test_an_upload_is_refused_before_it_comes(server: Server, name: str) -> None:
    with Connection(server) as c:
        answer = c.request("PUT", f"/upload/{name}?refuse=1", content_length="1000000", expect="100-continue").response()
        assert (answer.status, answer.body) == (401, b"no")
    with Connection(server) as c:
        assert c.request("PUT", f"/upload/{name}?limit=9", b"0123456789").response().status == 400
    with Connection(server) as c:
        open_gate(server, name)
        body = b"6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n"
        c.send(f"PUT /upload/{name}?limit=9 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body)
        assert c.response().status == 400


# spec: jobs 6
def test_a_client_that_leaves_its_upload(server: Server, name: str) -> None:
    open_gate(server, name)
    with Connection(server) as c:
        c.request("PUT", f"/upload/{name}", content_length="10").send(b"01234")
        eventually(lambda: counted(server, name) == 5)
    server.wait_for(f"^{name}: the client left its upload$")


# spec: jobs 6
def test_a_client_that_leaves_is_heard_of(server: Server, name: str) -> None:
    with Connection(server) as c:
        c.request("GET", f"/wait/{name}")
        server.wait_for(f"^{name}: waits$")
    server.wait_for(f"^{name}: connection closed$")
    server.wait_for(f"^{name}: finished$")


# spec: jobs 6
def test_a_deadline_is_a_closed_connection(run: StartServer, name: str) -> None:
    server = run("--timeout-request", "0.3")
    with Connection(server) as c:
        assert c.get(f"/wait/{name}").status == 504
    server.wait_for(f"^{name}: connection closed$")
    assert httpx.get(f"{server.url}/request").status_code == 200


# spec: jobs 6
@pytest.mark.parametrize("flush", ["", "&flush=1"])
def test_a_broken_promise_of_a_length(server: Server, flush: str) -> None:
    with Connection(server) as c:
        assert c.get(f"/length?promised=3&sent=5{flush}").status == 500
    server.wait_for("HTTPOutputError: Tried to write more data than Content-Length")
    with Connection(server) as c:
        c.request("GET", f"/length?promised=7&sent=5{flush}")
        assert c.head()["content-length"] == "7"
        with pytest.raises(EOFError):
            c.read(7)
    server.wait_for("HTTPOutputError: Tried to write 2 bytes less than Content-Length")


# spec: jobs 6
def test_a_handler_may_cut_its_connection(server: Server) -> None:
    with Connection(server) as c:
        assert c.get("/cut").status == 500
    server.wait_for("ConnectionAbortedError: the application has closed the connection")


# spec: jobs 6
def test_there_is_no_stream_to_detach(server: Server) -> None:
    with Connection(server) as c:
        c.request("GET", "/detach")
        server.wait_for("RuntimeError: detach.. has nothing to give: the connection is the server's")


# spec: jobs 6
def test_malformed_to_tornado_is_400(server: Server) -> None:
    with Connection(server) as c:
        answer = c.get("/request?" + "&".join(f"a{n}=" for n in range(1100)))
        assert answer.status == 400


# spec: jobs 6 (it is a request like others: what runs when the server stops is waited for)
def test_a_stop_waits_for_handlers(run: StartServer, name: str) -> None:
    server = run("--timeout-graceful-shutdown", "20")
    with Connection(server) as c, Connection(server) as opener:
        opener.get("/request")
        c.request("GET", f"/wait/{name}")
        server.wait_for(f"^{name}: waits$")
        opener.request("POST", f"/gate/{name}", content_length="0")
        assert opener.response().status == 200
        server.process.terminate()
        assert c.response().text == "waited"
    assert server.wait() == 0
