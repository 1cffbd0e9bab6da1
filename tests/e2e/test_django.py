"""examples/django_site in a browser and over HTTP, under ASGI and under WSGI: the same tests, the same results."""

import csv
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from harness import EXAMPLES, Server, StartServer, family
from selenium import webdriver

from browser import TakePicture, console_errors, fill, find, set_color_scheme, submit

SITE = EXAMPLES / "django_site"
PASSWORD = "only-for-this-test"

OPTIONS = {"asgi": (), "wsgi": ("--threads", "4")}


def manage(data: Path, *arguments: str) -> None:
    command = [sys.executable, str(SITE / "manage.py"), *arguments]
    subprocess.run(command, env=os.environ | {"DJANGO_DATA": str(data)}, check=True, timeout=60, capture_output=True)


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def site(request: pytest.FixtureRequest, start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    data = tmp_path_factory.mktemp(request.param)
    manage(data, "migrate", "--verbosity=0")
    manage(data, "seed", "--password", PASSWORD)
    return start_server(f"config.{request.param}:application", SITE, *OPTIONS[request.param], DJANGO_DATA=str(data))


def test_an_administrator_adds_a_question_a_visitor_votes_and_the_administrator_leaves(
    site: Server, browser: webdriver.Chrome, picture: TakePicture
) -> None:
    browser.get(f"{site.url}/admin/")
    fill(browser, username="admin", password="wrong")
    submit(browser, "[type=submit]")
    find(browser, ".errornote", "Please enter the correct username and password")
    fill(browser, username="admin", password=PASSWORD)
    submit(browser, "[type=submit]")
    find(browser, "#user-tools", "ADMIN")
    picture("admin")

    browser.get(f"{site.url}/admin/polls/question/add/")
    fill(browser, text="Is it served?", **{"choices-0-text": "Yes", "choices-1-text": "Not yet"})
    picture("admin-add")
    submit(browser, "[name=_save]")
    find(browser, ".success", "Is it served?")
    picture("admin-list")

    browser.get(site.url)
    picture("polls")
    find(browser, "a.card", "Is it served?").click()
    find(browser, ".choice", "Not yet")
    find(browser, ".choice", "Yes").click()
    picture("polls-question")
    submit(browser, "main button")
    find(browser, ".results div", "1 vote")
    find(browser, ".total", "1 vote in all")
    for scheme in ("light", "dark"):
        set_color_scheme(browser, scheme)
        picture(f"polls-results-{scheme}")
    browser.get(site.url)
    find(browser, "a.card", "you voted")

    submit(browser, "nav button")
    find(browser, "nav a", "Log in")
    browser.get(f"{site.url}/admin/")
    find(browser, "[name=password]")
    assert console_errors(browser) == [], "styles and scripts of the site and of the admin were all served"


@pytest.fixture
def visitor(site: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=15) as visitor:
        yield visitor


def vote(visitor: httpx.Client, question: int, choice: str) -> httpx.Response:
    visitor.get(f"/{question}/").raise_for_status()
    token = visitor.cookies["csrftoken"]
    return visitor.post(f"/{question}/vote/", data={"choice": choice, "csrfmiddlewaretoken": token})


def exported(visitor: httpx.Client) -> list[list[str]]:
    return list(csv.reader(io.StringIO(visitor.get("/export.csv").text)))


def test_a_visitor_has_one_vote_a_session(visitor: httpx.Client) -> None:
    before = _votes(exported(visitor))
    assert vote(visitor, 1, "1").headers["location"] == "/1/results/"
    assert visitor.post("/1/vote/", data={"csrfmiddlewaretoken": visitor.cookies["csrftoken"]}).status_code == 302
    assert visitor.get("/1/").headers["location"] == "/1/results/"
    assert _votes(exported(visitor)) == before + 1


def test_votes_at_the_same_moment_all_count(site: Server, visitor: httpx.Client) -> None:
    def one(_: int) -> int:
        with httpx.Client(base_url=site.url, timeout=15) as other:
            return vote(other, 2, "4").status_code

    before = _votes(exported(visitor))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(24))) == {302}
    assert _votes(exported(visitor)) == before + 24


@pytest.mark.parametrize("choice", ["", "x", "1", "99999999999999999999999"])
def test_a_vote_for_nothing_is_refused(visitor: httpx.Client, choice: str) -> None:
    response = vote(visitor, 3, choice)
    assert response.status_code == 422
    assert "Please select one of the answers." in response.text


def test_a_form_without_its_token_is_refused(visitor: httpx.Client) -> None:
    assert visitor.post("/1/vote/", data={"choice": "1"}).status_code == 403


def test_what_is_not_there_is_404(visitor: httpx.Client) -> None:
    for path in ("/99999/", "/99999999999999999999/", "/nothing", "/static/nothing.css", "/static/../manage.py"):
        assert visitor.get(path).status_code == 404


def test_static_files_are_served_and_revalidated(visitor: httpx.Client) -> None:
    style = visitor.get("/static/polls/polls.css")
    assert style.headers["content-type"].startswith("text/css")
    assert style.content == (SITE / "polls/static/polls/polls.css").read_bytes()
    again = visitor.get("/static/polls/polls.css", headers={"if-modified-since": style.headers["last-modified"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_export_is_a_stream(visitor: httpx.Client) -> None:
    with visitor.stream("GET", "/export.csv") as response:
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        assert "content-length" not in response.headers
        rows = list(csv.reader(response.iter_lines()))
    assert rows[0] == ["question", "choice", "votes"]
    assert ["Tabs or spaces?", "Spaces", "0"] in rows


def _votes(rows: list[list[str]]) -> int:
    return sum(int(votes) for _, _, votes in rows[1:])


@pytest.mark.skipif(os.environ.get("AWAITD_TEST_SERVER") == "uvicorn", reason="has no --preload")
@pytest.mark.parametrize("interface", OPTIONS)
def test_workers_share_what_a_first_request_loads_but_no_connection(
    start_server: StartServer, tmp_path: Path, interface: str
) -> None:
    manage(tmp_path, "migrate", "--verbosity=0")
    options = ("--preload", "--workers", "2", *OPTIONS[interface])
    server = start_server(f"config.{interface}:application", SITE, *options, DJANGO_DATA=str(tmp_path))
    entries = [entry for pid in family(server.pid) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    assert not any("sqlite" in os.readlink(entry) for entry in entries if entry.is_symlink())
    assert len(server.stderr.text().splitlines()) == 1  # Django would say that it refused the request, or failed
    assert httpx.get(server.url).status_code == 200
