"""The board on PostgreSQL, by asyncpg and by SQLAlchemy, and its live channel over Redis."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from engines import PostgreSQL, Redis
from harness import Server, StartServer, eventually, serve
from websockets.sync.client import connect

BOARD = Path(__file__).parents[2] / "examples" / "board"
DRIVERS = {"asyncpg": "", "sqlalchemy": "+asyncpg"}


@pytest.fixture(params=DRIVERS)
def url(request: pytest.FixtureRequest, postgresql: PostgreSQL) -> str:
    return postgresql.url(DRIVERS[request.param])


def board(start_one: StartServer, url: str, data: Path, *options: str, **env: str) -> Server:
    addresses = ("--bind", "127.0.0.1:0", "--bind", "udp://127.0.0.1:0=main:meter")
    env |= {"BOARD_DATA": str(data), "DATABASE_URL": url, "BOARD_POOL": "2"}
    return start_one("main:app", BOARD, "--workers", "2", *addresses, *options, **env)


def post(server: Server, body: str) -> int:
    answer = httpx.post(f"{server.url}/api/messages", json={"author": "Ann", "body": body}, timeout=20)
    assert answer.status_code == 201, answer.text
    number = answer.json()["id"]
    assert isinstance(number, int)
    return number


def events(client: httpx.Client, server: Server, after: int) -> Iterator[str]:
    """The ids of what is new, as they come."""
    with client.stream("GET", f"{server.url}/live?after={after}") as response:
        for line in response.iter_lines():
            if line.startswith("id:"):
                yield line.removeprefix("id:").strip()


# spec: jobs 7
def test_posts_files_pages_and_the_chat(start_one: StartServer, url: str, tmp_path: Path) -> None:
    server = board(start_one, url, tmp_path)
    first = post(server, "one <b>line</b>")
    form = {"author": "Bob", "body": "with a file"}
    page = httpx.post(server.url, data=form, files={"files": ("note.txt", b"hello")}, follow_redirects=True, timeout=20)
    assert page.status_code == 200
    assert "one &lt;b&gt;line&lt;/b&gt;" in page.text
    (message,) = httpx.get(f"{server.url}/api/messages?limit=1").json()["items"]
    assert (message["author"], message["id"], message["attachments"][0]["name"]) == ("Bob", first + 1, "note.txt")
    assert message["created_at"].endswith("Z")
    assert httpx.get(f"{server.url}/files/{message['attachments'][0]['id']}").content == b"hello"
    assert httpx.get(f"{server.url}/api/messages/{first}").json()["body"] == "one <b>line</b>"
    assert len(httpx.get(f"{server.url}/export.ndjson").text.splitlines()) >= 2
    address = server.url.replace("http", "ws") + "/chat"
    with connect(address) as ann, connect(address) as bob:
        ann.send(json.dumps({"author": "Ann", "text": f"hello {first}"}))
        for client in (ann, bob):
            while json.loads(client.recv(timeout=20)).get("text") != f"hello {first}":
                pass


def test_figures(start_one: StartServer, url: str, tmp_path: Path) -> None:
    server = board(start_one, url, tmp_path)
    with httpx.Client(timeout=20) as client, client.stream("GET", f"{server.url}/figures") as response:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as meter:
            meter.connect(("127.0.0.1", server.port("main:meter")))
            meter.send(
                b"a.gauge:5|g\na.gauge:-2.5|g\na.gauge:7|ms\nmany:1|c\n" + b"".join(b"f%d:1|c\n" % n for n in range(200))
            )
        for line in response.iter_lines():
            if line.startswith("data:") and (shown := json.loads(line.removeprefix("data:"))):
                found = {figure["name"]: figure["value"] for figure in shown}
                if len(found) == 100:
                    break
        assert found["a.gauge"] == 7


# spec: jobs 7
def test_workers_tell_each_other_by_redis(start_one: StartServer, postgresql: PostgreSQL, redis: Redis, tmp_path: Path) -> None:
    server = board(start_one, postgresql.url(), tmp_path, BOARD_REDIS=redis.url)
    last = post(server, "before")
    with httpx.Client(timeout=20) as client:
        news = events(client, server, last)
        for n in range(5):  # by whichever worker
            number = post(server, f"news {n}")
            assert next(news) == str(number)
        redis.stop()
        server.wait_for("Redis does not answer")
        number = post(server, "without Redis")
        assert next(news) == str(number)
        redis.start()
        number = post(server, "with it again")
        assert next(news) == str(number)


# spec: jobs 7
def test_a_database_that_restarts(start_one: StartServer, postgresql: PostgreSQL, url: str, tmp_path: Path) -> None:
    server = board(start_one, url, tmp_path)
    last = post(server, "before")
    with httpx.Client(timeout=20) as client:
        news = events(client, server, last)
        number = post(server, "first")
        assert next(news) == str(number)
        postgresql.stop()
        answer = httpx.get(f"{server.url}/api/messages", timeout=30)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        page = httpx.get(server.url, headers={"accept": "text/html"}, timeout=30)
        assert (page.status_code, "Nothing was changed" in page.text) == (503, True)
        assert httpx.get(f"{server.url}/healthz", timeout=30).status_code == 503
        postgresql.start()
        eventually(lambda: httpx.get(f"{server.url}/healthz", timeout=30).status_code == 200)
        number = post(server, "second")
        assert next(news) == str(number)


# spec: jobs 7
def test_a_reload_leaves_no_connection_behind(postgresql: PostgreSQL, url: str, tmp_path: Path) -> None:
    environment = {"BOARD_DATA": str(tmp_path), "DATABASE_URL": url, "BOARD_POOL": "2"}
    with serve("main:app", BOARD, "--workers", "2", env=environment) as server:
        for n in range(3):
            server.stderr.clear()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("reloaded")
            post(server, f"after reload {n}")
        eventually(lambda: postgresql.connections() <= 4)
    assert postgresql.connections() == 0


# spec: jobs 7
@pytest.mark.parametrize("driver", DRIVERS.values(), ids=DRIVERS)
def test_a_database_that_is_not_there_is_said_at_start(launch: StartServer, tmp_path: Path, driver: str) -> None:
    environment = {
        "BOARD_DATA": str(tmp_path),
        "DATABASE_URL": f"postgresql{driver}://ann:secret@localhost/board?host={tmp_path}",
    }
    server = launch("main:app", "--app-dir", str(BOARD), "--bind", "127.0.0.1:0", env=environment)
    assert server.process.wait(30) == 3
    server.wait_for(re.escape(f"can't connect to the database postgresql{driver}://localhost/board"))
    assert "secret" not in server.output()
