"""examples/board, used as people and programs use it."""

import base64
import json
import signal
import smtplib
import socket
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import EXAMPLES, Server, StartServer, eventually
from selenium import webdriver
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from browser import TakePicture, console_errors, fill, find, set_color_scheme, submit, wait_until

# One red pixel.
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==")
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("board")


@pytest.fixture(scope="module")
def board(start_server: StartServer, data: Path) -> Server:
    """One board for the module, with two workers, as one would run it."""
    addresses = [
        "--bind",
        "127.0.0.1:0",
        "--bind",
        "tcp://127.0.0.1:0=main:terminal",
        "--bind",
        "smtp://127.0.0.1:0=main:letters",
        "--bind",
        "udp://127.0.0.1:0=main:meter",
    ]
    return start_server("main:app", EXAMPLES / "board", "--workers", "2", *addresses, BOARD_DATA=str(data))


@pytest.fixture
def client(board: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=board.url, timeout=15) as client:
        yield client


def post(client: httpx.Client, body: str, author: str = "Grace") -> dict[str, Any]:
    response = client.post("/api/messages", json={"author": author, "body": body})
    assert response.status_code == 201, response.text
    posted: dict[str, Any] = response.json()
    return posted


class TestInABrowser:
    def test_a_posted_message_appears_on_the_page(self, board: Server, browser: webdriver.Chrome, picture: TakePicture) -> None:
        browser.get(board.url)
        fill(browser, author="Ada <b>Lovelace</b>", body="The first one.\nOn two lines & <script>alert(1)</script>")
        submit(browser, "form button")

        item = find(browser, ".message", "The first one.")
        assert "Ada <b>Lovelace</b>" in item.text, "markup in a name stays text"
        assert "<script>alert(1)</script>" in item.text
        assert browser.current_url.startswith(board.url + "/#message-"), "a reload does not post again"
        find(browser, "#live", "Live")
        for scheme in ("light", "dark"):
            set_color_scheme(browser, scheme)
            picture(f"board-{scheme}")
        assert console_errors(browser) == []

    def test_an_uploaded_file_comes_back_as_it_was(
        self, board: Server, client: httpx.Client, browser: webdriver.Chrome, tmp_path: Path
    ) -> None:
        page, photo = tmp_path / "päge.html", tmp_path / "dot.png"
        page.write_text("<script>alert(1)</script>")
        photo.write_bytes(PNG)
        browser.get(board.url)
        fill(browser, author="Ada", body="Two files", files=f"{page}\n{photo}")
        submit(browser, "form button")

        item = find(browser, ".message", "Two files")
        link, image = item.find_element("css selector", "a.file"), item.find_element("css selector", "img")
        fetched = client.get(link.get_attribute("href") or "")
        assert fetched.text == "<script>alert(1)</script>"
        assert fetched.headers["content-disposition"].startswith("attachment;"), "a page is saved, never opened"
        assert "sandbox" in fetched.headers["content-security-policy"]
        assert fetched.headers["x-content-type-options"] == "nosniff"
        fetched = client.get(image.get_attribute("src") or "")
        assert fetched.content == PNG
        assert fetched.headers["content-type"] == "image/png"
        assert fetched.headers["content-disposition"].startswith("inline;")

    def test_another_tab_sees_a_message_as_it_is_posted(self, board: Server, browser: webdriver.Chrome) -> None:
        browser.get(board.url)
        first = browser.current_window_handle
        browser.switch_to.new_window("tab")
        browser.get(board.url)
        find(browser, "#live", "Live")
        browser.execute_script("window.same = true")
        second = browser.current_window_handle

        browser.switch_to.window(first)
        fill(browser, author="Tab 1", body="Can you see me?")
        submit(browser, "form button")
        find(browser, ".message", "Can you see me?")

        browser.switch_to.window(second)
        find(browser, ".message.new", "Can you see me?")
        assert browser.execute_script("return window.same"), "it came without a reload"
        wait_until(browser, "document.querySelectorAll('.message')[0].innerText.includes('Can you see me?')")
        assert console_errors(browser) == []

    def test_a_form_with_an_error_says_what_to_do_and_keeps_the_text(
        self, board: Server, browser: webdriver.Chrome, tmp_path: Path, picture: TakePicture
    ) -> None:
        large = tmp_path / "large.bin"
        large.write_bytes(b"x" * (5 * MIB + 1))
        browser.get(board.url)
        fill(browser, author="Ada", body="A text of some length", files=str(large))
        submit(browser, "form button")
        picture("board-error")
        find(browser, "[role=alert]", "was not posted")
        find(browser, "#files-error", "Larger than 5 MB: “large.bin”")
        assert find(browser, "[name=body]").get_attribute("value") == "A text of some length"


def say(browser: webdriver.Chrome, speaker: str, line: str) -> None:
    find(browser, "#chat[data-state='on']")
    fill(browser, speaker=speaker, line=line)
    find(browser, "#chat button").click()


class TestTheChat:
    # spec: websocket 10
    def test_two_browsers_talk_whichever_workers_they_have(
        self, board: Server, browser: webdriver.Chrome, other_browser: webdriver.Chrome, picture: TakePicture
    ) -> None:
        for tab in (browser, other_browser):
            tab.get(board.url)
        say(browser, "Ada", "Hello, is anybody here? <b>Grüße</b>")
        find(other_browser, "#lines li", "Ada Hello, is anybody here? <b>Grüße</b>")
        say(other_browser, "Grace", "I am.")
        find(browser, "#lines li", "Grace I am.")
        browser.refresh()
        find(browser, "#lines li", "Grace I am.")
        assert find(browser, "[name='speaker']").get_attribute("value") == "Ada"
        for scheme in ("light", "dark"):
            set_color_scheme(browser, scheme)
            picture(f"board-chat-{scheme}")
        assert console_errors(browser) == console_errors(other_browser) == []

    # spec: websocket 7
    def test_it_goes_on_after_a_reload_of_the_server(
        self, board: Server, browser: webdriver.Chrome, other_browser: webdriver.Chrome
    ) -> None:
        for tab in (browser, other_browser):
            tab.get(board.url)
        say(browser, "Ada", "before")
        find(other_browser, "#lines li", "before")
        for tab in (browser, other_browser):
            tab.execute_script("document.querySelector('#chat').dataset.state = 'before'")
        board.process.send_signal(signal.SIGHUP)
        for tab in (browser, other_browser):
            wait_until(tab, "document.querySelector('#chat').dataset.state === 'on'")
        say(other_browser, "Grace", "after")
        find(browser, "#lines li", "Grace after")
        said = [item.text for item in browser.find_elements("css selector", "#lines li")]
        assert len([text for text in said if text.endswith("Ada before")]) == 1

    # spec: jobs 1
    def test_a_terminal_talks_with_a_browser(self, board: Server, browser: webdriver.Chrome) -> None:
        browser.get(board.url)
        with socket.create_connection(("127.0.0.1", board.port("main:terminal")), timeout=20) as terminal:
            lines = terminal.makefile("rw", encoding="utf-8", newline="\n")
            assert lines.read(len("Your name? ")) == "Your name? "
            lines.write("Linus\nGrüße von der Konsole\n")
            lines.flush()
            assert lines.readline() == "Linus: Grüße von der Konsole\n"
            find(browser, "#lines li", "Linus Grüße von der Konsole")
            say(browser, "Ada", "Und zurück")
            assert lines.readline() == "Ada: Und zurück\n"
            with connect(board.url.replace("http", "ws") + "/chat") as other:  # what would clear the screen
                other.send(json.dumps({"author": "Eve", "text": "a\x1b[2Jb\nc"}))
                assert lines.readline() == "Eve: a [2Jb c\n"
            lines.write("x" * 501 + "\n" + "y" * 100_000 + "\n")
            lines.flush()
            assert lines.readline() == "! text: String should have at most 500 characters\n"
            while (said := lines.readline()).startswith("! text"):  # parts of what was too long
                pass
            assert said == "! that was too long\n"

    # spec: jobs 3
    def test_a_letter_is_a_post(self, board: Server, browser: webdriver.Chrome, client: httpx.Client) -> None:
        browser.get(board.url)
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = "Grace Höpper <grace@example.org>", "board@example.org", "By mail"
        letter.set_content("Grüße\n.\nund mehr\n")
        letter.add_attachment(PNG, maintype="image", subtype="png", filename="dot.png")
        with smtplib.SMTP("127.0.0.1", board.port("main:letters"), timeout=20) as mail:
            assert mail.send_message(letter) == {}
            find(browser, ".message", "Grace Höpper")
            find(browser, ".message", "und mehr")
            posted = client.get("/api/messages?limit=1").json()["items"][0]
            assert (posted["author"], posted["body"]) == ("Grace Höpper", "By mail\n\nGrüße\n.\nund mehr")
            assert [(file["name"], file["content_type"]) for file in posted["attachments"]] == [("dot.png", "image/png")]
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                mail.sendmail("a@example.org", "somebody@example.org", "x")
            with pytest.raises(smtplib.SMTPDataError) as refused:
                mail.sendmail("a@example.org", "board@example.org", "Subject: x\n\n" + "y" * 900 + "\n" * 4000 + "z")
            assert refused.value.smtp_code == 554

    # spec: jobs 2
    def test_a_datagram_is_a_figure(self, board: Server, browser: webdriver.Chrome, picture: TakePicture) -> None:
        browser.get(board.url)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as meter:
            meter.connect(("127.0.0.1", board.port("main:meter")))
            meter.send(b"kitchen.temperature:21.5|g\nvisitors:2|c\nvisitors:1|c|@0.1\nnonsense\nx:1e9|g\n<b>:1|g")
            find(browser, "#figures dd", "21.5")
            find(browser, "#figures dd", "3")
            picture("board-figures")
            meter.send(b"kitchen.temperature:-0.5|g\nvisitors:39|c")
            find(browser, "#figures dd", "42")
            shown = {item.text for item in browser.find_elements("css selector", "#figures div")}
        assert shown == {"kitchen.temperature\n21", "visitors\n42"}

    def test_who_comes_again_hears_what_it_missed_and_no_line_twice(self, board: Server) -> None:
        url = board.url.replace("http", "ws") + "/chat"
        with connect(url) as one, connect(url) as two:
            for n in range(60):
                one.send(json.dumps({"author": "A", "text": f"line {n}"}))
            lines = collect(two, "line 59")
            assert [line["text"] for line in lines if line["text"].startswith("line")] == [f"line {n}" for n in range(60)]
        at = next(line["id"] for line in lines if line["text"] == "line 49")
        with connect(f"{url}?after={at}") as again:
            assert [line["text"] for line in collect(again, "line 59")] == [f"line {n}" for n in range(50, 60)]
        with connect(url) as newcomer:
            assert len(collect(newcomer, "line 59")) == 50

    def test_what_is_no_line_is_refused_and_the_chat_goes_on(self, board: Server) -> None:
        with connect(board.url.replace("http", "ws") + "/chat") as socket:
            for wrong in ("", "{", b"\xff", json.dumps({"author": "A"}), json.dumps({"author": "A", "text": "x" * 501})):
                socket.send(wrong)
                while "error" not in (answer := json.loads(socket.recv(15))):
                    pass
                assert answer["error"].startswith("A name has")
            socket.send(json.dumps({"author": "A", "text": "right"}))
            collect(socket, "right")

    def test_a_page_of_another_site_is_refused(self, board: Server) -> None:
        with pytest.raises(InvalidStatus) as refused:
            connect(board.url.replace("http", "ws") + "/chat", origin=Origin("https://elsewhere.example")).close()
        assert refused.value.response.status_code == 403


def collect(socket: ClientConnection, last: str) -> list[dict[str, Any]]:
    """Lines up to the one with this text."""
    lines = [json.loads(socket.recv(15))]
    while lines[-1].get("text") != last:
        lines.append(json.loads(socket.recv(15)))
    return lines


class TestTheJSONInterface:
    def test_a_message_is_posted_found_and_listed(self, client: httpx.Client) -> None:
        response = client.post("/api/messages", json={"author": "  Grace ", "body": "Hi\r\nthere"})
        assert response.status_code == 201
        posted = response.json()
        assert (posted["author"], posted["body"], posted["attachments"]) == ("Grace", "Hi\nthere", [])
        assert client.get(response.headers["location"]).json() == posted
        assert client.get("/api/messages", params={"limit": 1}).json()["items"] == [posted]

    def test_pages_follow_each_other_without_gap_or_overlap(self, client: httpx.Client) -> None:
        ids = [post(client, f"page me {n}")["id"] for n in range(5)]
        seen, before = [], ids[-1] + 1
        while before and before > ids[0]:
            page = client.get("/api/messages", params={"limit": 2, "before": before}).json()
            seen += [message["id"] for message in page["items"]]
            before = page["next_before"]
        assert [number for number in seen if number >= ids[0]] == ids[::-1]

    @pytest.mark.parametrize(
        ("content", "field", "kind"),
        [
            ('{"author": "Grace"}', ["body", "body"], "missing"),
            ('{"author": "", "body": "x"}', ["body", "author"], "string_too_short"),
            ('{"author": "a\\nb", "body": "x"}', ["body", "author"], "string_pattern_mismatch"),
            ('{"author": "Grace", "body": "%s"}' % ("x" * 4001), ["body", "body"], "string_too_long"),
            ('{"author": "Grace", "body": "a\\u0000b"}', ["body", "body"], "value_error"),
            ('{"author": "Grace", "body": "\\ud800"}', ["body", "body"], "string_unicode"),
            ('{"author": "Grace", "body": "x", "admin": true}', ["body", "admin"], "extra_forbidden"),
            ('{"author": "Grace", "body": ', ["body", 28], "json_invalid"),
        ],
    )
    def test_what_is_not_a_message_is_refused_with_the_place(
        self, client: httpx.Client, content: str, field: list[str | int], kind: str
    ) -> None:
        response = client.post("/api/messages", content=content, headers={"content-type": "application/json"})
        assert response.status_code == 422
        assert [(problem["loc"], problem["type"]) for problem in response.json()["detail"]] == [(field, kind)]

    @pytest.mark.parametrize("query", ["limit=0", "limit=101", "before=x", "before=99999999999999999999"])
    def test_a_bad_query_is_refused(self, client: httpx.Client, query: str) -> None:
        assert client.get(f"/api/messages?{query}").status_code == 422

    def test_what_is_not_there_is_404(self, client: httpx.Client) -> None:
        for path in ("/api/messages/999999999", "/files/999999999", "/nothing", "/static/../main.py"):
            assert client.get(path).status_code == 404

    def test_a_body_over_the_limit_is_refused_by_its_length_alone(self, board: Server) -> None:
        """Not one byte of the body is sent, so an answer means that nobody waited for it."""
        host, port = board.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=15) as connection:
            head = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            connection.sendall(f"{head}Content-Length: {64 * MIB}\r\n\r\n".encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")

    def test_healthz(self, client: httpx.Client) -> None:
        assert client.get("/healthz").json() == {"status": "ok"}

    def test_the_moderators_are_told_after_the_response(self, client: httpx.Client, data: Path) -> None:
        posted = post(client, "three short words")
        log = data / "notifications.log"

        def told() -> list[dict[str, Any]]:
            lines = log.read_text().splitlines() if log.exists() else []
            return [line for line in map(json.loads, lines) if line["id"] == posted["id"]]

        assert eventually(told)[0]["words"] == 3


class TestTheLiveStream:
    def test_a_message_arrives_whichever_worker_got_it(self, client: httpx.Client, board: Server) -> None:
        """Several readers and several connections, so that both workers have readers and both get posts."""
        newest = post(client, "the newest so far")["id"]
        with _live(board, newest) as one, _live(board, newest) as two, _live(board, newest) as three:
            posted = [post(httpx.Client(base_url=board.url), f"live {n}")["id"] for n in range(6)]
            for reader in (one, two, three):
                assert [next(reader)["id"] for _ in posted] == posted

    def test_a_browser_that_comes_back_gets_what_it_missed(self, client: httpx.Client, board: Server) -> None:
        seen = post(client, "seen")["id"]
        missed = [post(client, f"missed {n}")["id"] for n in range(150)]
        with _live(board, after=0, last_event_id=seen) as reader:
            assert [next(reader)["id"] for _ in missed] == missed

    def test_it_begins_at_once_and_is_not_to_be_cached(self, board: Server) -> None:
        with httpx.stream("GET", f"{board.url}/live?after=999999999", timeout=5) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-cache"
            assert next(response.iter_lines()) == ": connected"


ROWS = 50_000


@pytest.fixture(scope="module")
def full_board(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A board of its own, with 50,000 messages of a kilobyte."""
    data = tmp_path_factory.mktemp("full")
    board = start_server("main:app", EXAMPLES / "board", BOARD_DATA=str(data), DATABASE_URL="")
    database = sqlite3.connect(data / "board.db", timeout=15)
    with database:
        rows = ((f"author {n % 7}", f"{n} ".ljust(1000, "x"), "2026-01-01 00:00:00") for n in range(ROWS))
        database.executemany("INSERT INTO message (author, body, created_at) VALUES (?, ?, ?)", rows)
    database.close()
    return board


class TestTheExport:
    def test_50_000_messages_stream_through_flat_memory(self, full_board: Server) -> None:
        """Neither the client nor the server and its workers ever hold a noticeable part of the 55 MB."""
        httpx.get(f"{full_board.url}/api/messages").raise_for_status()  # everything is imported and warm
        before, highest, rows, size = full_board.memory(), 0, 0, 0
        tracemalloc.start()
        with httpx.stream("GET", f"{full_board.url}/export.ndjson", timeout=30) as response:
            assert response.headers["content-disposition"] == 'attachment; filename="board.ndjson"'
            assert "content-length" not in response.headers
            for rows, line in enumerate(response.iter_lines(), 1):
                size += len(line)
                if rows % 5000 == 0:
                    highest = max(highest, full_board.memory())
        _, client_peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert rows == ROWS
        assert json.loads(line)["body"].startswith(f"{ROWS - 1} ")
        assert size > 50 * MIB
        assert client_peak < 8 * MIB
        assert highest - before < 24 * MIB

    def test_a_reader_who_stops_half_way_stops_nobody(self, full_board: Server) -> None:
        with httpx.stream("GET", f"{full_board.url}/export.ndjson", timeout=30) as slow:
            next(slow.iter_lines())
            for _ in range(20):
                assert httpx.get(f"{full_board.url}/healthz", timeout=5).status_code == 200
        assert httpx.get(f"{full_board.url}/healthz", timeout=5).status_code == 200


@contextmanager
def _live(board: Server, after: int, last_event_id: int | None = None) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of /live from the moment the server has answered. FastAPI pings every 15 s; the timeout is shorter."""
    headers = {} if last_event_id is None else {"last-event-id": str(last_event_id)}
    with httpx.stream("GET", f"{board.url}/live", params={"after": after}, headers=headers, timeout=10) as response:
        response.raise_for_status()
        yield _events(response.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {"data": []}
    for line in lines:
        if line.startswith("data:"):
            event["data"].append(line)
        elif line.startswith("id: "):
            event["id"] = int(line.removeprefix("id: "))
        elif not line and event["data"]:
            yield event
            event = {"data": []}
