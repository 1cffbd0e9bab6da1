"""The same assertions over every framework, as it is served by awaitd.

No test sleeps and none measures time: what is to happen in between waits for a gate in the application, that the test opens.
"""

import hashlib
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

import environment
from frameworks import FRAMEWORKS, Framework
from harness import ROOT, Server, eventually, family

GREETING = "Grüße, 世界 & 100% + 1"


@pytest.fixture
def key() -> str:
    """The name of a gate that nothing else uses."""
    return uuid4().hex


# spec: http 26
def test_routing(client: httpx.Client) -> None:
    hello = client.get("/hello/J%C3%BCrgen")
    assert hello.status_code == 200
    assert "Hello, Jürgen!" in hello.text
    assert client.get("/square/12").text == "144"
    assert client.get("/square/twelve").status_code == 404
    assert client.get("/nothing").status_code == 404
    assert client.delete("/search").status_code in (404, 405)


# spec: http 26
def test_query(client: httpx.Client) -> None:
    assert client.get("/search?q=caf%C3%A9+%26+cr%C3%A8me%2B&tag=a&tag=b%20c").json() == {
        "q": "café & crème+",
        "tags": ["a", "b c"],
    }


# spec: http 26
def test_form(client: httpx.Client) -> None:
    message = {"name": "Jürgen", "message": GREETING + "\r\n=;"}
    assert client.post("/form", data=message).raise_for_status().json() == message


# spec: http 26
def test_upload(client: httpx.Client) -> None:
    content = random.Random(1).randbytes(1 << 20)
    answer = client.post("/upload", files={"file": ("snow.bin", content)}, data={"note": GREETING}).raise_for_status()
    assert answer.json() == {
        "name": "snow.bin",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "note": GREETING,
    }


# spec: http 26
def test_json(client: httpx.Client) -> None:
    value = {"text": GREETING, "list": [1, -2.5, 1 << 53, True, None, []], "nested": {"": {"é": "\u0001\U0001f600"}}}
    answer = client.post("/json", json=value).raise_for_status()
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    assert answer.json() == {"got": value}


# spec: http 26
def test_session(server: Server) -> None:
    with httpx.Client(base_url=server.url) as ada, httpx.Client(base_url=server.url) as bob:
        ada.post("/login", data={"user": "ada"}).raise_for_status()
        bob.post("/login", data={"user": "bob"}).raise_for_status()
        for _ in range(2):
            assert ada.get("/me").json() == {"user": "ada", "theme": "dark"}
            assert bob.get("/me").json() == {"user": "bob", "theme": "dark"}
    assert httpx.get(f"{server.url}/me").json() == {"user": None, "theme": None}


# spec: http 26
def test_redirect(client: httpx.Client) -> None:
    asked = client.get("/old", headers={"host": "shop.example:8443"})
    assert asked.is_redirect
    assert asked.headers["location"] == "http://shop.example:8443/hello/world"
    followed = client.get("/old", follow_redirects=True)
    assert str(followed.url) == str(client.base_url.join("/hello/world"))
    assert "Hello, world!" in followed.text


# spec: http 26
def test_static(client: httpx.Client, framework: Framework, static: Path) -> None:
    style, css = client.get("/static/style.css"), (static / "style.css").read_bytes()
    assert style.headers["content-type"].partition(";")[0] == "text/css"
    assert style.headers["content-length"] == str(len(css))
    assert style.content == css
    assert client.get("/static/long.bin").content == (static / "long.bin").read_bytes()
    assert client.get("/static/nothing.css").status_code == 404

    for name in framework.validators:
        condition = {"etag": "if-none-match", "last-modified": "if-modified-since"}[name]
        again = client.get("/static/style.css", headers={condition: style.headers[name]})
        assert (again.status_code, again.content) == (304, b"")
    if framework.ranges:
        part = client.get("/static/style.css", headers={"range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, css[5:10])
        assert part.headers["content-range"] == f"bytes 5-9/{len(css)}"


# spec: http 26
def test_stream(client: httpx.Client, key: str) -> None:
    with client.stream("GET", f"/stream/{key}") as answer:
        assert answer.headers["content-type"].partition(";")[0] == "text/plain"
        assert answer.headers["transfer-encoding"] == "chunked"
        lines = answer.iter_lines()
        assert next(lines) == "first"
        client.post(f"/open/{key}").raise_for_status()
        assert list(lines) == ["last"]


# spec: http 26
def test_sse(client: httpx.Client, key: str) -> None:
    with client.stream("GET", f"/events/{key}", headers={"accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
        events = server_sent_events(answer.iter_lines())
        assert next(events) == {"event": "greeting", "data": "Grüße"}
        client.post(f"/open/{key}").raise_for_status()
        assert list(events) == [{"event": "end", "data": "bye"}]


def server_sent_events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """The events of a stream, by their fields; comments are left out."""
    event: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if name:
            event[name] = value.removeprefix(" ")
        elif event and not line:
            yield event
            event = {}


# spec: http 26
def test_background(client: httpx.Client, key: str) -> None:
    answer = client.post(f"/work/{key}")
    assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    assert client.get(f"/work/{key}").json() == {"done": False}, "the response did not wait for the work"
    client.post(f"/open/{key}").raise_for_status()
    eventually(lambda: client.get(f"/work/{key}").json() == {"done": True})


# spec: http 26
def test_error(client: httpx.Client, server: Server, framework: Framework) -> None:
    processes = family(server.pid)
    page = client.get("/fail")
    assert page.status_code == 500
    assert framework.error_page in page.text
    assert "error id" not in page.text, "that is the server's page"
    assert "Hello, world!" in httpx.get(f"{server.url}/hello/world").text
    assert family(server.pid) == processes


over_wsgi = pytest.mark.parametrize(
    "framework", [f for f in FRAMEWORKS if f.wsgi], ids=lambda f: f.name, indirect=True, scope="module"
)


# spec: wsgi 11, wsgi 6 (the frameworks' own ways to send a file; the application fails if it is not the server's wrapper)
@over_wsgi
def test_download(client: httpx.Client, static: Path) -> None:
    for name in ("long.bin", "style.css"):  # over one connection
        file = client.get(f"/download/{name}").raise_for_status()
        assert file.content == (static / name).read_bytes()
        assert file.headers["content-length"] == str(len(file.content))
        assert file.headers["content-disposition"] in ('attachment; filename="snow.bin"', "attachment; filename=snow.bin")


# spec: wsgi 11, wsgi 8 (several lines either way)
@over_wsgi
def test_cookies(client: httpx.Client) -> None:
    first = client.get("/cookies")
    a, b, c = sorted(first.headers.get_list("set-cookie"))
    assert (a.partition(";")[0], b.partition(";")[0], c[:2]) == ("a=1", 'b="two words"', "c=")
    assert "httponly" in a.lower()
    assert "max-age=60" in b.lower()
    again = httpx.get(first.url, headers=[("cookie", "a=1"), ("cookie", 'b="two words"')])
    assert again.json() == {"a": "1", "b": "two words"}


# spec: wsgi 11, wsgi 4 (a body of chunks)
@over_wsgi
def test_chunked(client: httpx.Client, framework: Framework) -> None:
    pieces = [random.Random(n).randbytes(10_000 * n) for n in range(1, 8)]
    whole = b"".join(pieces)
    answer = client.post("/raw", content=iter(pieces))
    if framework.chunked == "refused":
        assert answer.status_code == 400
    else:
        assert answer.text == hashlib.sha256(whole if framework.chunked == "read" else b"").hexdigest()
    assert client.post("/raw", content=whole).text == hashlib.sha256(whole).hexdigest()


class SocketIO:
    """A client of Socket.IO's long polling: packets of Engine.IO's version 4, in the bodies of GET and POST."""

    def __init__(self, url: str, user: str) -> None:
        self.http = httpx.Client(base_url=url, params={"EIO": "4", "transport": "polling"}, timeout=10)
        opened = json.loads(self.receive().removeprefix("0"))
        self.http.params = self.http.params.merge({"sid": opened["sid"]})
        self.send("40" + json.dumps({"user": user}))
        assert self.receive().startswith('40{"sid":')

    def __enter__(self) -> "SocketIO":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def send(self, packet: str) -> None:
        assert self.http.post("/socket.io/", content=packet).raise_for_status().text == "OK"

    def receive(self) -> str:
        return self.http.get("/socket.io/").raise_for_status().text

    def call(self, event: str, *values: str) -> str:
        """Emits an event and returns what its handler acknowledges it with."""
        self.send("420" + json.dumps([event, *values]))
        (value,) = json.loads(self.receive().removeprefix("430"))
        return value


# spec: http 26
@pytest.mark.parametrize("framework", [f for f in FRAMEWORKS if f.polling], ids=lambda f: f.name, indirect=True, scope="module")
def test_polling(server: Server, key: str) -> None:
    with SocketIO(server.url, "ada") as ada, SocketIO(server.url, "bob") as bob, ThreadPoolExecutor() as threads:
        assert ada.call("greet", "Jürgen") == "Hello, Jürgen! Yours, ada"
        assert bob.call("greet", "世界") == "Hello, 世界! Yours, bob"
        ada.send("42" + json.dumps(["later", key]))
        event = threads.submit(ada.receive)
        httpx.post(f"{server.url}/open/{key}").raise_for_status()
        assert json.loads(event.result().removeprefix("42")) == ["done", {"key": key, "text": "Grüße"}]


def test_the_documentation_names_these_frameworks_and_versions() -> None:
    versions = environment.versions()
    page = (ROOT / "docs" / "reference" / "testing.md").read_text()
    documented = [line.split("|")[1].strip() for line in page.partition("## Frameworks")[2].splitlines() if "| ok " in line]
    assert documented == [f"{framework.name} {versions[framework.distribution]}" for framework in FRAMEWORKS]


# spec: http 26
@pytest.mark.parametrize(
    "framework", [f for f in FRAMEWORKS if f.sockets and not f.wsgi], ids=lambda f: f.name, indirect=True, scope="module"
)
def test_websocket(server: Server, framework: Framework) -> None:
    url = server.url.replace("http", "ws") + "/ws"
    with connect(f"{url}/lounge", subprotocols=[Subprotocol("one"), Subprotocol("two")]) as socket:
        assert socket.subprotocol == "two"
        socket.send(GREETING)
        assert socket.recv(10) == f"lounge: {GREETING}"
        socket.send(bytes(range(256)) * 300)
        assert socket.recv(10) == bytes(reversed(range(256))) * 300
        socket.send("bye")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
    assert closed.value.rcvd
    assert closed.value.rcvd.code == (4001 if framework.closes else 1000)
    if framework.closes:
        assert closed.value.rcvd.reason == "as you wish"
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{url}/secret").close()
        assert refused.value.response.status_code == 403
