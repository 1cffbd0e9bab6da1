"""docs/guides/databases.md: its example runs, and what it says of WSGI, Django and --preload is what happens."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from engines import Postgres
from harness import ROOT, Server, StartServer, eventually

HERE = Path(__file__).parent
GUIDE = (ROOT / "docs" / "guides" / "databases.md").read_text()
IMPORTS = """
import contextlib, os
import asyncpg
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
"""
APP = """
app = Starlette(lifespan=lifespan, routes=[Route("/", fortunes)])
"""
NewDatabase = Callable[[], str]


# spec: jobs 7
def test_the_example_runs(launch: StartServer, postgres: Postgres, new_database: NewDatabase, tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", GUIDE, re.S)
    assert example
    (tmp_path / "main.py").write_text(IMPORTS + example[1] + APP)
    database = new_database()
    postgres.ask("CREATE TABLE fortune AS SELECT 1 AS id, 'An apple a day' AS message", database=database)
    server = launch("main:app", "--app-dir", str(tmp_path), "--port", "0", env={"DATABASE_URL": postgres.url(database)})
    server.wait_ready()
    assert httpx.get(server.url).json() == [{"id": 1, "message": "An apple a day"}]
    assert server.stop() == 0
    eventually(lambda: postgres.ended(database)[1] == 0)


def test_what_is_named_is_there() -> None:
    settings = (ROOT / "docs" / "reference" / "settings.md").read_text()
    for flag in set(re.findall(r"--[a-z][a-z-]+", GUIDE)):
        assert re.search(rf"(?<![\w-]){flag}(?![\w-])", settings), flag


class Django:
    """Two workers with a project that is asked by many at once; what PostgreSQL saw of it."""

    def __init__(self, launch: StartServer, postgres: Postgres, database: str) -> None:
        self._launch, self._postgres, self._database = launch, postgres, database

    def serve(self, target: str, *options: str, **env: str) -> Server:
        environment = env | {"DATABASE": self._database, "PGPORT": str(self._postgres.port)}
        arguments = (f"django_orm:{target}", "--app-dir", str(HERE), "--port", "0", "--workers", "2", *options)
        server = self._launch(*arguments, env=environment)
        server.wait_ready()
        return server

    def used(self, server: Server, path: str = "") -> int:
        """Sessions that 60 requests have had, 12 at a time."""
        with ThreadPoolExecutor(12) as threads, httpx.Client(base_url=server.url, timeout=20) as client:
            answers = list(threads.map(lambda _: client.get(f"/{path}").json(), range(60)))
        return len({session for _, _, session in answers})

    def open(self) -> int:
        return len(self._postgres.sessions("django", self._database))


@pytest.fixture
def site(launch: StartServer, postgres: Postgres, new_database: NewDatabase) -> Django:
    return Django(launch, postgres, new_database())


# spec: jobs 7
class TestDjango:
    def test_by_wsgi_it_opens_a_connection_for_each_request(self, site: Django) -> None:
        assert site.used(site.serve("wsgi", "--threads", "3")) == 60
        eventually(lambda: site.open() == 0)

    def test_kept_ones_are_as_many_as_threads(self, site: Django) -> None:
        server = site.serve("wsgi", "--threads", "3", KEEP="1")
        used = site.used(server)
        assert used == site.open() <= 6
        assert server.stop() == 0
        eventually(lambda: site.open() == 0)

    def test_by_asgi_they_are_kept_for_nobody(self, site: Django) -> None:
        assert site.used(site.serve("asgi", KEEP="1"), "async") == 60

    @pytest.mark.parametrize(("target", "path"), [("wsgi", ""), ("asgi", ""), ("asgi", "async")])
    def test_a_pool_is_shared_in_a_worker(self, site: Django, target: str, path: str) -> None:
        server = site.serve(target, *(["--threads", "3"] if target == "wsgi" else []), POOL="2")
        assert site.used(server, path) == site.open() <= 4
        assert server.stop() == 0
        eventually(lambda: site.open() == 0)


# spec: jobs 7
@pytest.mark.parametrize("hook", [True, False], ids=["renewed", "forgotten"])
def test_what_was_connected_before_the_fork_is_shared_unless_it_is_renewed(
    launch: StartServer, postgres: Postgres, new_database: NewDatabase, hook: bool
) -> None:
    env = {"URL": postgres.url(new_database()), "HOOK": "1" if hook else ""}
    server = launch("forked:app", "--app-dir", str(HERE), "--port", "0", "--workers", "2", "--preload", env=env)
    server.wait_ready()
    seen: set[tuple[str, ...]] = set()

    def both() -> bool:
        seen.add(tuple(httpx.get(server.url).text.split()))
        return len({worker for worker, _ in seen}) == 2

    with ThreadPoolExecutor(8) as threads:
        eventually(lambda: any(list(threads.map(lambda _: both(), range(8)))))
    assert len({session for _, session in seen}) == (2 if hook else 1)
