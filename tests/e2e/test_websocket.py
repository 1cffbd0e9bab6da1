"""WebSockets of a browser: what it offers, says and hears, with the application of tests/websocket."""

import json
from typing import Any

import pytest
from harness import ROOT, Server, StartServer
from selenium import webdriver

APP = ROOT / "tests" / "websocket"

TALK = """
const [path, protocols, sends, done] = arguments;
const socket = new WebSocket(location.origin.replace("http", "ws") + path, protocols);
socket.binaryType = "arraybuffer";
const heard = [];
socket.onopen = () => { heard.push(["open", socket.protocol, socket.extensions]); sends.forEach(text => socket.send(text)); };
socket.onmessage = event => {
    heard.push(["message", typeof event.data === "string" ? event.data : event.data.byteLength]);
    if (sends.length && heard.length > sends.length) socket.close(4321, "enough — genug");
};
socket.onerror = () => heard.push(["error"]);
socket.onclose = event => { heard.push(["close", event.code, event.reason, event.wasClean]); done(heard); };
"""


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server("app:app", APP, "--no-access-log")


def talk(browser: webdriver.Chrome, server: Server, path: str, *sends: str, protocols: tuple[str, ...] = ()) -> list[list[Any]]:
    """Opens a WebSocket, sends, closes after as many messages; what its events said."""
    browser.get(f"{server.url}/hello")
    browser.set_script_timeout(15)
    heard: list[list[Any]] = browser.execute_async_script(TALK, path, list(protocols), list(sends))
    return heard


# spec: websocket 10
def test_a_browser_talks_and_closes(browser: webdriver.Chrome, server: Server) -> None:
    sends = ["hello", "Grüße, 世界 😀", "", "text " * 40_000]
    opened, *messages, closed = talk(browser, server, "/echo?note=browser", *sends)
    assert opened[:2] == ["open", ""]
    assert opened[2].startswith("permessage-deflate")
    assert messages == [["message", text] for text in sends]
    assert closed == ["close", 4321, "", True]  # the server answers with the code alone
    server.wait_for("^browser: 4321 'enough — genug'$")


# spec: websocket 10
def test_a_browser_hears_why_it_was_closed(browser: webdriver.Chrome, server: Server) -> None:
    opened, message, closed = talk(browser, server, "/close?note=why&code=4000&reason=because")
    assert (opened[0], message) == ("open", ["message", "last"])
    assert closed == ["close", 4000, "because", True]


# spec: websocket 10
def test_a_browser_is_refused(browser: webdriver.Chrome, server: Server) -> None:
    for path in ("/refuse", "/deny", "/raise"):
        assert talk(browser, server, path) == [["error"], ["close", 1006, "", False]]


# spec: websocket 10
def test_a_browser_tells_its_origin_and_takes_a_subprotocol(browser: webdriver.Chrome, server: Server) -> None:
    opened, message, _ = talk(browser, server, "/accept?take=two", protocols=("one", "two"))
    assert opened[:2] == ["open", "two"]
    assert len(json.loads(message[1])) == 3
    _, message, closed = talk(browser, server, "/scope")
    assert ["origin", server.url] in json.loads(message[1])["headers"]
    assert closed[1] == 1000
