"""docs/reference/asgi.md: each of its examples is run, and does what the page says."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from harness import ROOT, Server, StartServer, eventually
from rawhttp import Connection, fetch

PAGE = (ROOT / "docs" / "reference" / "asgi.md").read_text()

DISPATCH = """
import importlib

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await importlib.import_module("lifespan").app(scope, receive, send)
    name, _, word = scope["path"].strip("/").partition("/")
    if not word:
        return await importlib.import_module(name).app(scope, receive, send)
    await send({"type": "http.response.start", "status": 200})
    body = scope if name == "scope" else getattr(importlib.import_module(name), word)
    await send({"type": "http.response.body", "body": repr(body).encode()})
"""


def blocks() -> dict[str, str]:
    """The page's examples by the heading they stand under."""
    found = {}
    for section in re.split(r"^#+ ", PAGE, flags=re.M):
        name = re.sub(r"\W+", "_", section.partition("\n")[0]).strip("_").lower()
        for block in re.findall(r"^```python\n(.*?)^```", section, re.M | re.S):
            assert name not in found, f"two examples under one heading: {name}"
            found[name] = block
    return found


BLOCKS = blocks()
ALONE = {"asgi_2"}  # has a server of its own
Check = Callable[[Server], None]
checks: dict[str, Check] = {}


def check(function: Check) -> Check:
    checks[function.__name__] = function
    return function


@pytest.fixture(scope="module")
def server(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("page")
    (folder / "dispatch.py").write_text(DISPATCH)
    for name, block in BLOCKS.items():
        if name != "scope":
            (folder / f"{name}.py").write_text(block)
    return start_server("dispatch:app", folder, "--no-access-log", "--log-level", "debug")


# spec: http 20
@pytest.mark.parametrize("name", sorted(BLOCKS.keys() - ALONE))
def test_an_example(server: Server, name: str) -> None:
    checks[name](server)


def test_every_check_has_its_example() -> None:
    assert checks.keys() | ALONE == BLOCKS.keys()


def shape(value: Any) -> Any:
    """The types that a value is made of."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return (type(value), *map(shape, value)) if isinstance(value, (list, tuple)) else type(value)


# spec: http 12
@check
def scope(server: Server) -> None:
    shown: dict[str, Any] = {}
    exec(BLOCKS["scope"], shown)
    with Connection(server) as connection:
        connection.send("GET /scope/caf%C3%A9/1?q=a%20b HTTP/1.1\r\nhost: example.org\r\nX-One: 1\r\n\r\n")
        found, shown = eval(connection.response().text), shown["scope"]
    assert found["extensions"].pop("http.response.debug") == {}  # as the page says, with --log-level debug only
    found["state"] = shown["state"]
    assert shape(found) == shape(shown)
    same = found.keys() - {"client", "server"}
    changed = {"path": "/scope" + shown["path"], "raw_path": b"/scope" + shown["raw_path"]}
    assert {key: found[key] for key in same} == {**{key: shown[key] for key in same}, **changed}
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Receiving")[0], re.M)
    assert rows == list(shown)


@check
def receiving(server: Server) -> None:
    with Connection(server) as connection:
        assert connection.request("POST", "/receiving", bytes(300_000)).response().text == "300000"


# spec: http 15
@check
def clients_that_leave(server: Server) -> None:
    with Connection(server) as connection:
        assert connection.request("GET", "/clients_that_leave").head()["content-type"] == "text/event-stream"
        assert connection.chunk() == b"data: 0\n\n"
        assert connection.chunk() == b"data: 1\n\n"
    eventually(lambda: "clients_that_leave" in fetch(server, "/clients_that_leave/left").text)
    assert "ClientDisconnected" not in server.output()


# spec: http 23
@check
def tasks_and_context(server: Server) -> None:
    assert fetch(server, "/tasks_and_context").text == ""
    done = eventually(lambda: (text := fetch(server, "/tasks_and_context/done").text).count(",") and text)
    assert sorted(eval(done)) == ["after the response", "in another task"]


@check
def http_response_trailers(server: Server) -> None:
    response = fetch(server, "/http_response_trailers")
    assert response.trailers == [("x-sha256", hashlib.sha256(response.body).hexdigest())]
    assert response["trailer"] == "x-sha256"


@check
def http_response_early_hint(server: Server) -> None:
    with Connection(server) as connection:
        hint = connection.request("GET", "/http_response_early_hint").head()
        assert (hint.status, hint["link"]) == (103, "</style.css>; rel=preload; as=style")
        assert connection.response().status == 200


@check
def http_response_pathsend(server: Server) -> None:
    assert fetch(server, "/http_response_pathsend").text == BLOCKS["http_response_pathsend"]


@check
def http_response_zerocopysend(server: Server) -> None:
    block = BLOCKS["http_response_zerocopysend"]
    assert fetch(server, "/http_response_zerocopysend").text == block[:10] + " [...] " + block[20:]


@check
def http_response_debug(server: Server) -> None:
    assert fetch(server, "/http_response_debug").text == "hello"
    server.wait_for(r"debug: from ASGI application \[id \w{16}\]: \{'template': 'index.html', 'context': \{'user': 7\}\}$")


# spec: websocket 10
@check
def websocket(server: Server) -> None:
    with connect(server.url.replace("http", "ws") + "/websocket", subprotocols=["chat", "other"]) as client:
        assert client.subprotocol == "chat"
        for message in ("hello", b"hello"):
            client.send(message)
            assert client.recv() == message


# spec: websocket 4
@check
def websocket_http_response(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(server.url.replace("http", "ws") + "/websocket_http_response")
    answer = refused.value.response
    assert (answer.status_code, answer.headers["www-authenticate"], answer.body) == (401, 'Basic realm="chat"', b"who are you?")


# spec: jobs 6
@check
def awaitd_broadcast(server: Server) -> None:
    url = server.url.replace("http", "ws") + "/awaitd_broadcast"
    with connect(url) as one, connect(url) as two:
        for said in ("hello", b"\0", ""):
            one.send(said)
            assert (one.recv(10), two.recv(10)) == (said, said)


@check
def awaitd_websocket_ping(server: Server) -> None:
    with connect(server.url.replace("http", "ws") + "/awaitd_websocket_ping") as client:
        assert client.recv() == "you are"


# spec: http 21
@check
def lifespan(server: Server) -> None:
    assert fetch(server, "/lifespan").text == "5"


# spec: http 21
# spec: http 22
def test_the_asgi_2_example(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "asgi_2.py").write_text(BLOCKS["asgi_2"])
    server = start_server("asgi_2:app", tmp_path, "--log-level", "debug")
    assert fetch(server, "/").text == "2.0"
    server.wait_for("debug: going on without lifespan for `asgi_2:app`: it sent what is no lifespan message")


# spec: http 20
def test_debug_is_not_offered_by_default(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "debug.py").write_text(BLOCKS["http_response_debug"])
    server = start_server("debug:app", tmp_path)
    assert fetch(server, "/").text == "hello"
    assert "index.html" not in server.output()
    assert "lifespan" not in server.output()


def test_the_page_names_the_extensions_that_there_are(server: Server) -> None:
    with Connection(server) as connection:
        found = eval(connection.get("/scope/x").text)["extensions"]
    assert sorted(re.findall(r"^### `(http\.response\.\w+)`$", PAGE, re.M)) == sorted(found)
