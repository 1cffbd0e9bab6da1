"""requests over awaitd's adapter."""

from collections.abc import Iterator

import pytest
import requests
from origin import BAD, Origin

import awaitd


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.mount("http://", awaitd.RequestsAdapter())
        made.mount("https://", awaitd.RequestsAdapter())
        yield made


def test_requests_and_responses(session: requests.Session, origin: Origin) -> None:
    response = session.get(origin.url + "/fields", params={"a": "b c"})
    assert response.ok
    assert response.text == "hello"
    assert response.headers["x-two"] == "2"
    assert response.reason == "OK"
    assert session.post(origin.url + "/echo", data={"a": "b"}).text == "a=b"
    assert session.post(origin.url + "/echo", data=iter([b"one", b"two"])).content == b"onetwo"
    assert session.post(origin.url + "/echo", files={"f": b"x" * 300_000}).content.count(b"x") >= 300_000
    session.get(origin.url + "/cookie")
    assert session.cookies["a"] == "b"
    assert "Cookie: a=b" in session.get(origin.url + "/heads").text
    with session.get(origin.url + "/large", stream=True) as large:
        assert sum(map(len, large.iter_content(1 << 20))) == 64 << 20


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_has_one_of_requests_exceptions(session: requests.Session, origin: Origin, name: str) -> None:
    with pytest.raises(requests.RequestException) as raised:
        session.get(f"{origin.url}/bad/{name}", timeout=0.3 if BAD[name][1] == "ReadTimeout" else 5)
    if BAD[name][1] == "ReadTimeout":
        assert isinstance(raised.value, requests.Timeout | requests.ConnectionError)
    assert session.get(origin.url + "/hello").text == "hello"


def test_connections_that_fail(session: requests.Session) -> None:
    with pytest.raises(requests.ConnectionError):
        session.get("http://127.0.0.1:1/")
