"""The frameworks' own documentation examples of streaming and of background work, as small applications under apps/.

No test sleeps and none measures time: where an example pauses, the application waits for a gate that the test opens. So
"the first piece comes before the last is made" is shown by reading the first piece while the gate is still shut, and "work
runs after the response" by having the complete response while the work can't be done yet.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness import StartServer

APPS = Path(__file__).parent / "apps"


@pytest.fixture(scope="module")
def starlette(start_server: StartServer) -> str:
    return start_server("starlette_docs:app", APPS).url


@pytest.fixture(scope="module")
def fastapi(start_server: StartServer) -> str:
    return start_server("fastapi_docs:app", APPS).url


@pytest.fixture(scope="module")
def django_asgi(start_server: StartServer) -> str:
    return start_server("django_docs:asgi", APPS).url


@pytest.fixture(scope="module")
def django_wsgi(start_server: StartServer) -> str:
    # Two threads: one holds the stream, one answers the request that opens its gate.
    return start_server("django_docs:wsgi", APPS, "--threads", "2").url


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=10) as client:
        yield client


class TestStarlette:
    def test_streaming_response_sends_each_piece_as_it_is_made(self, client: httpx.Client, starlette: str) -> None:
        # spec: http 8, 19
        with client.stream("GET", f"{starlette}/numbers") as response:
            assert response.headers["content-type"] == "text/html; charset=utf-8"
            assert "content-length" not in response.headers
            text = response.iter_text()
            received = ""
            for number in (1, 2, 3):
                while f"<li>{number}</li>" not in received:
                    received += next(text)
                assert f"<li>{number + 1}</li>" not in received
                client.post(f"{starlette}/gates/number-{number}").raise_for_status()
            received += "".join(text)
        assert received == "<html><body><ul><li>1</li><li>2</li><li>3</li></ul></body></html>"

    def test_file_response(self, client: httpx.Client, starlette: str) -> None:
        whole = client.get(f"{starlette}/file")
        assert whole.headers["content-length"] == "1600000"
        assert whole.headers["content-disposition"] == 'attachment; filename="numbers.txt"'
        assert whole.headers["etag"]
        assert whole.headers["last-modified"]
        assert whole.content == b"".join(b"%07d\n" % n for n in range(200_000))

        head = client.head(f"{starlette}/file")  # spec: http 6
        assert (head.headers["content-length"], head.content) == ("1600000", b"")
        part = client.get(f"{starlette}/file", headers={"range": "bytes=800-815"})
        assert part.status_code == 206
        assert part.headers["content-range"] == "bytes 800-815/1600000"
        assert part.content == b"0000100\n0000101\n"

    def test_a_background_task_runs_after_the_response(self, client: httpx.Client, starlette: str) -> None:
        # spec: http 23
        person = {"username": "one", "email": "one@example.org"}
        response = client.post(f"{starlette}/user/signup", json=person)
        assert response.json() == {"status": "Signup successful"}
        assert client.get(f"{starlette}/done").json() == [], "the same connection answers while the task still runs"
        client.post(f"{starlette}/gates/one@example.org").raise_for_status()
        done = client.get(f"{starlette}/done", params={"after": "welcome one@example.org"}).json()
        assert done == ["welcome one@example.org"]

    def test_background_tasks_run_in_their_order(self, client: httpx.Client, starlette: str) -> None:
        person = {"username": "two", "email": "two@example.org"}
        before = client.get(f"{starlette}/done").json()
        assert client.post(f"{starlette}/user/signup2", json=person).json() == {"status": "Signup successful"}
        assert client.get(f"{starlette}/done").json() == before
        client.post(f"{starlette}/gates/two@example.org").raise_for_status()
        done = client.get(f"{starlette}/done", params={"after": "admin two"}).json()
        assert done[len(before) :] == ["welcome two@example.org", "admin two"]


class TestFastAPI:
    def test_a_notification_is_written_after_the_response(self, client: httpx.Client, fastapi: str) -> None:
        response = client.post(f"{fastapi}/send-notification/a@example.org", params={"q": "what"})
        assert response.json() == {"message": "Notification sent in the background"}
        assert "notification" not in str(client.get(f"{fastapi}/log").json())
        client.post(f"{fastapi}/gates/notify a@example.org").raise_for_status()
        lines = client.get(f"{fastapi}/log", params={"after": "notified a@example.org"}).json()
        assert lines == ["found query: what", "notification for a@example.org: some notification"]

    def test_a_file_like_object_is_streamed(self, client: httpx.Client, fastapi: str) -> None:
        with client.stream("GET", f"{fastapi}/video") as response:
            assert response.headers["content-type"] == "video/mp4"
            assert b"".join(response.iter_bytes()) == bytes(range(256)) * 4096 * 4

    def test_json_lines_come_one_by_one(self, client: httpx.Client, fastapi: str) -> None:
        with client.stream("GET", f"{fastapi}/items/lines") as response:
            lines = response.iter_lines()
            for name in ("Plumbus", "Portal Gun", "Meeseeks Box"):
                assert f'"name":"{name}"' in next(lines)
                client.post(f"{fastapi}/gates/line {name}").raise_for_status()
            assert list(lines) == []

    def test_server_sent_events_come_one_by_one_and_resume(self, client: httpx.Client, fastapi: str) -> None:
        with client.stream("GET", f"{fastapi}/items/events") as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert response.headers["cache-control"] == "no-cache"
            lines = response.iter_lines()
            event = [next(lines) for _ in range(5)]
            assert event[0] == "event: item"
            assert '"name":"Plumbus"' in event[1]
            assert event[2:] == ["id: 0", "retry: 5000", ""]
            client.post(f"{fastapi}/gates/event Plumbus").raise_for_status()
            assert [next(lines) for _ in range(5)][2] == "id: 1"

        with client.stream("GET", f"{fastapi}/items/events", headers={"last-event-id": "1"}) as response:
            assert [line for line in _take(response.iter_lines(), 5) if line.startswith("id")] == ["id: 2"]


class TestDjango:
    def test_a_large_csv_is_streamed_under_wsgi(self, client: httpx.Client, django_wsgi: str) -> None:
        with client.stream("GET", f"{django_wsgi}/large.csv") as response:
            assert response.headers["content-type"] == "text/csv"
            assert response.headers["content-disposition"] == 'attachment; filename="somefilename.csv"'
            lines = response.iter_lines()
            assert next(lines) == "Row 0,0", "the first row comes while the second can't be made yet"
            client.get(f"{django_wsgi}/gates/csv").raise_for_status()
            rows = list(lines)
        assert len(rows) == 65535
        assert rows[-1] == "Row 65535,65535"

    def test_an_async_iterator_is_streamed_under_asgi(self, client: httpx.Client, django_asgi: str) -> None:
        with client.stream("GET", f"{django_asgi}/numbers") as response:
            lines = response.iter_lines()
            for number in range(3):
                assert next(lines) == f"number {number}"
                client.get(f"{django_asgi}/async-gates/number-{number}").raise_for_status()
            assert list(lines) == []


def _take(lines: Iterator[str], count: int) -> list[str]:
    return [next(lines) for _ in range(count)]
