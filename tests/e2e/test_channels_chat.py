"""examples/channels_chat: Django Channels' consumers, talked to by browsers."""

import pytest
from harness import EXAMPLES, Server, StartServer
from selenium import webdriver
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from browser import console_errors, fill, find, submit


@pytest.fixture(scope="module")
def chat(start_server: StartServer) -> Server:
    return start_server("mysite.asgi:application", EXAMPLES / "channels_chat")


def say(browser: webdriver.Chrome, message: str) -> None:
    fill(browser, message=message)
    find(browser, "button:enabled").click()


def heard(browser: webdriver.Chrome) -> list[str]:
    return [item.text for item in browser.find_elements("css selector", "#messages li")]


# spec: websocket 10
def test_two_in_a_room_hear_each_other(chat: Server, browser: webdriver.Chrome, other_browser: webdriver.Chrome) -> None:
    browser.get(f"{chat.url}/chat/")
    fill(browser, room="lobby")
    submit(browser, "button")
    other_browser.get(f"{chat.url}/chat/lobby/")
    find(other_browser, "button:enabled")  # it has joined
    say(browser, "Hello <b>you</b>, grüß dich ☺")
    find(other_browser, "#messages li", "Hello <b>you</b>, grüß dich ☺")
    say(other_browser, "Hello yourself")
    find(browser, "#messages li", "Hello yourself")
    assert heard(browser) == heard(other_browser) == ["Hello <b>you</b>, grüß dich ☺", "Hello yourself"]
    browser.refresh()
    find(browser, "button:enabled")
    say(other_browser, "Back?")
    find(browser, "#messages li", "Back?")
    assert heard(browser) == ["Back?"]
    assert [error for tab in (browser, other_browser) for error in console_errors(tab) if "favicon" not in error] == []


# spec: websocket 10
def test_rooms_do_not_hear_each_other(chat: Server) -> None:
    url = chat.url.replace("http", "ws") + "/ws/chat"
    origin = Origin(chat.url)  # Channels wants one
    with connect(f"{url}/one/", origin=origin) as one, connect(f"{url}/two/", origin=origin) as two:
        two.send('{"message": "only here"}')
        assert two.recv(15) == '{"message": "only here"}'
        one.send('{"message": "x"}')
        assert one.recv(15) == '{"message": "x"}'  # and nothing before it
        one.send("no JSON")
        with pytest.raises(Exception, match="1003"):
            one.recv(15)


# spec: websocket 9
def test_the_origin_is_channels_to_judge(chat: Server) -> None:
    url = chat.url.replace("http", "ws") + "/ws/chat/one/"
    with pytest.raises(InvalidStatus) as refused:
        connect(url, origin=Origin("https://elsewhere.example")).close()
    assert refused.value.response.status_code == 403
    connect(url, origin=Origin(chat.url)).close()
