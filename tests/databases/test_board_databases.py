"""examples/board on each of its databases: the same requests, the same answers."""

import asyncio
import json
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from websockets.sync.client import connect

from asking import asking
from engines import Postgres, free_port
from harness import EXAMPLES, Server, StartServer, eventually

BOARD = EXAMPLES / "board"
SCHEMES = {"asyncpg": "postgresql", "sqlalchemy": "postgresql+asyncpg"}
POOL = 3
# A reader that has left is missed at the next event or ping only, since Starlette waits for neither: no test waits for that.
GRACE = ("--timeout-graceful-shutdown", "1")
NewDatabase = Callable[[], str]
StartBoard = Callable[..., Server]


@pytest.fixture(scope="module", params=["sqlite", "asyncpg", "sqlalchemy"])
def board(request: pytest.FixtureRequest, start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Two workers on one of the databases."""
    data = tmp_path_factory.mktemp("board")
    addresses = ("--bind", "127.0.0.1:0", "--bind", "udp://127.0.0.1:0=main:meter")
    url = ""
    if request.param in SCHEMES:
        postgres: Postgres = request.getfixturevalue("postgres")
        new_database: NewDatabase = request.getfixturevalue("new_database")
        url = postgres.url(new_database(), SCHEMES[request.param])
    return start_server("main:app", BOARD, "--workers", "2", *addresses, *GRACE, BOARD_DATA=str(data), DATABASE_URL=url)


@pytest.fixture
def client(board: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=board.url, timeout=15) as client:
        yield client


# spec: jobs 7
class TestOnEachDatabase:
    def test_what_was_posted_is_found_listed_and_exported(self, client: httpx.Client) -> None:
        posted = [post(client, f"Nr. {n}, 'quoted' $1 — Grüße 🐘", author="Grace <b>") for n in range(35)]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", posted[0].pop("created_at"))
        assert posted[0] == {
            "id": posted[0]["id"], "author": "Grace <b>", "body": "Nr. 0, 'quoted' $1 — Grüße 🐘", "attachments": [],
        }  # fmt: skip
        assert client.get(f"/api/messages/{posted[7]['id']}").json() == posted[7]
        page = client.get("/api/messages?limit=10").json()
        older = client.get(f"/api/messages?limit=30&before={page['next_before']}").json()
        assert [message["id"] for message in page["items"] + older["items"]][:35] == [m["id"] for m in reversed(posted)]
        exported = [json.loads(line) for line in client.get("/export.ndjson").text.splitlines()]
        assert exported[-34:] == posted[1:]
        assert client.get(f"/api/messages/{2**63 - 1}").status_code == 404

    def test_the_page_has_what_its_form_posted_with_its_files(self, client: httpx.Client) -> None:
        files = [("files", ("a.txt", b"first", "text/plain")), ("files", ("b.bin", bytes(range(256)), "text/html"))]
        answer = client.post("/", data={"author": "Ada", "body": "Two files"}, files=files, follow_redirects=True)
        assert answer.status_code == 200
        assert "Two files" in answer.text
        message = client.get("/api/messages?limit=1").json()["items"][0]
        assert [(file["name"], file["size"]) for file in message["attachments"]] == [("a.txt", 5), ("b.bin", 256)]
        contents = [client.get(f"/files/{file['id']}").content for file in message["attachments"]]
        assert contents == [b"first", bytes(range(256))]
        assert client.get("/files/999999").status_code == 404

    def test_readers_and_talkers_on_both_workers_hear_all_in_order(self, board: Server, client: httpx.Client) -> None:
        newest = post(client, "the newest so far")["id"]
        with live(board, newest) as one, live(board, newest) as two:
            posted = [post(httpx.Client(base_url=board.url), f"live {n}")["id"] for n in range(5)]
            for reader in (one, two):
                assert [next(reader) for _ in posted] == posted
        url = board.url.replace("http", "ws") + "/chat"
        with connect(url) as ada, connect(url) as grace:
            for n in range(3):
                ada.send(json.dumps({"author": "Ada", "text": f"line {n}"}))
            assert [json.loads(grace.recv(10))["text"] for _ in range(3)] == ["line 0", "line 1", "line 2"]

    def test_figures_are_kept_in_bounds(self, board: Server, client: httpx.Client) -> None:
        measured = b"a.gauge:5|g\na.gauge:-2.5|g\na.gauge:7|ms\nmany:1|c\n" + b"".join(b"f%d:1|c\n" % n for n in range(200))
        with client.stream("GET", "/figures") as response:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as meter:
                meter.connect(("127.0.0.1", board.port("main:meter")))
                meter.send(measured)
            shown = (json.loads(line[5:]) for line in response.iter_lines() if line.startswith("data:"))
            figures = next(found for found in shown if found and len(found) == 100)
        assert {figure["name"]: figure["value"] for figure in figures}["a.gauge"] == 7

    def test_posts_of_many_at_once_become_visible_in_the_order_of_their_ids(self, board: Server, client: httpx.Client) -> None:
        """A reader asks for what is newer than the last id, so 8 before 7 would be 7 never."""
        newest = post(client, "the newest so far")["id"]
        with (
            live(board, newest) as reader,
            asking(f"{board.url}/api/messages", 6, "POST", {"author": "A", "body": "B"}) as asked,
        ):
            asked.wait_for(201, 40)
            seen = [next(reader) for _ in range(40)]
        assert seen == list(range(newest + 1, newest + 41))
        assert set(asked.outcomes) == {201}


# spec: jobs 7
@pytest.mark.parametrize("scheme", SCHEMES.values())
def test_a_post_that_is_not_committed_yet_is_seen_before_those_after_it(
    launch: StartServer, scheme: str, postgres: Postgres, new_database: NewDatabase, tmp_path: Path
) -> None:
    """The test is the other server, which has taken an id and is slow to commit."""
    name = new_database()
    env = {"BOARD_DATA": str(tmp_path), "DATABASE_URL": postgres.url(name, scheme)}
    board = launch("main:app", "--app-dir", str(BOARD), "--port", "0", *GRACE, env=env)
    board.wait_ready()
    insert = "INSERT INTO message (author, body, created_at) VALUES ('A', 'B', CURRENT_TIMESTAMP) RETURNING id"
    waits = "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'advisory'"

    async def slow() -> tuple[int, int]:
        connection = await asyncpg.connect(postgres.url(name))
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", 0x626F617264)
            first = await connection.fetchval(insert)
            second = asyncio.create_task(asyncio.to_thread(post, client, "after it"))
            await asyncio.to_thread(eventually, lambda: postgres.ask(waits, name))
        await connection.close()
        return first, (await second)["id"]

    with httpx.Client(base_url=board.url, timeout=20) as client, live(board, 0) as reader:
        first, second = asyncio.run(slow())
        assert [next(reader), next(reader)] == [first, second]
    assert first < second


class TestWithoutTheDatabase:
    @pytest.fixture(params=list(SCHEMES))
    def scheme(self, request: pytest.FixtureRequest) -> str:
        return SCHEMES[request.param]

    # spec: jobs 7
    def test_it_does_not_start_and_says_which_it_missed(self, launch: StartServer, scheme: str, tmp_path: Path) -> None:
        port = free_port()
        url = f"{scheme}://board:secret@127.0.0.1:{port}/board"
        server = launch(
            "main:app", "--app-dir", str(BOARD), "--port", "0", env={"BOARD_DATA": str(tmp_path), "DATABASE_URL": url}
        )
        assert server.wait() == 3
        assert f"can't connect to the database {scheme}://127.0.0.1:{port}/board: " in server.output()
        assert "refused" in server.output() or "Connect call failed" in server.output()
        assert "secret" not in server.output()

    # spec: jobs 7
    def test_an_unknown_one_is_named_with_those_that_are_known(self, launch: StartServer, tmp_path: Path) -> None:
        env = {"BOARD_DATA": str(tmp_path), "DATABASE_URL": "mysql://me:secret@localhost/board"}
        server = launch("main:app", "--app-dir", str(BOARD), "--port", "0", env=env)
        assert server.wait() == 3
        assert "DATABASE_URL: mysql://localhost/board is none of sqlite:///" in server.output()
        assert "secret" not in server.output()

    # spec: jobs 7
    def test_a_restart_costs_503s_and_everything_goes_on(
        self, launch: StartServer, scheme: str, postgres: Postgres, new_database: NewDatabase, tmp_path: Path
    ) -> None:
        name = new_database()
        url = postgres.url(name, scheme)
        env = {"BOARD_DATA": str(tmp_path), "DATABASE_URL": url, "BOARD_POOL": str(POOL)}
        board = launch("main:app", "--app-dir", str(BOARD), "--port", "0", "--workers", "2", *GRACE, env=env)
        board.wait_ready()
        with httpx.Client(base_url=board.url, timeout=20) as client, asking(f"{board.url}/api/messages?limit=1") as asked:
            newest = post(client, "before")["id"]
            with live(board, newest) as reader:
                postgres.stop()
                try:
                    asked.wait_for(503)
                    page = client.get("/", headers={"accept": "text/html"})
                    assert (page.status_code, page.headers["retry-after"]) == (503, "1")
                    assert "can't reach its database" in page.text
                    assert client.get("/healthz").status_code == 503
                    assert client.post("/api/messages", json={"author": "A", "body": "B"}).status_code == 503
                    # Workers that can't connect replace nobody.
                    board.process.send_signal(signal.SIGHUP)
                    board.wait_for("the reload failed; the old workers stay")
                finally:
                    postgres.start()
                eventually(lambda: client.get("/healthz").status_code == 200)
                after = post(client, "after")["id"]
                assert next(reader) == after
            asked.wait_for(200, 20)
        assert set(asked.outcomes) == {200, 503}
        assert len(postgres.sessions("board", name)) <= 2 * POOL
        assert board.stop() == 0
        assert postgres.sessions("board", name) == []


def post(client: httpx.Client, body: str, author: str = "Grace") -> dict[str, Any]:
    response = client.post("/api/messages", json={"author": author, "body": body})
    assert response.status_code == 201, response.text
    posted: dict[str, Any] = response.json()
    return posted


class live:
    """The ids of what comes on /live, from the moment the server has answered."""

    def __init__(self, board: Server, after: int, timeout: float = 10) -> None:
        self._stream = httpx.stream("GET", f"{board.url}/live?after={after}", timeout=timeout)

    def __enter__(self) -> Iterator[int]:
        lines = self._stream.__enter__().iter_lines()
        assert next(lines) == ": connected"
        return (int(line.removeprefix("id: ")) for line in lines if line.startswith("id: "))

    def __exit__(self, *why: Any) -> None:
        self._stream.__exit__(*why)
