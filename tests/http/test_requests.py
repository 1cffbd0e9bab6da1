"""What the server takes for a request: the corpus of internal/http1, each file over a connection to a running server."""

import json
from pathlib import Path

import pytest

from harness import ROOT, Server, StartServer
from rawhttp import Connection, Response, fetch

CORPUS = ROOT / "internal" / "http1" / "testdata" / "requests"
HERE = Path(__file__).parent

# The files about limits are written for these.
LIMITS = ("--limit-request-line", "512", "--limit-request-fields", "24", "--limit-request-field-size", "512")

# The size of a whole head follows from the size of a frame (60 KiB) and has no setting; test_limits.py has its test.
WITHOUT_SETTING = {"232-limit-head", "233-limit-head-incomplete"}


def corpus(kind: str) -> list[str]:
    found = sorted(path.stem for path in (CORPUS / kind).glob("*.http"))
    assert len(found) > 80
    return [name for name in found if name not in WITHOUT_SETTING]


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server("app:mirror", HERE, "--no-access-log", "--ws", "none", *LIMITS)


# spec: http 1
# spec: http 2
@pytest.mark.parametrize("name", corpus("invalid"))
def test_an_invalid_request_is_answered_with_its_status_and_the_connection_closed(server: Server, name: str) -> None:
    raw = (CORPUS / "invalid" / f"{name}.http").read_bytes()
    status, _, reason = (CORPUS / "invalid" / f"{name}.expect").read_text().strip().partition(" ")
    with Connection(server) as connection:
        response = connection.send(raw).response()
        if response.status == 100:  # it stopped waiting by sending the body
            response = connection.response()
        assert (response.status, response.text) == (int(status), reason.removesuffix(" (body)") + "\n")
        assert response["connection"] == "close"
        assert connection.ends()


def expectation(name: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """What an .expect file says: its lines, and the fields among them, named as applications see them."""
    lines = (CORPUS / "valid" / f"{name}.expect").read_bytes().decode("latin-1").splitlines()
    pairs = [line.split(": ", 1) if ": " in line else [line.removesuffix(":"), ""] for line in lines]
    facts = {key: value for key, value in pairs if key != "field"}
    fields = [value.partition(":") for key, value in pairs if key == "field"]
    return facts, [(key.lower(), value.removeprefix(" ")) for key, _, value in fields]


# spec: http 1
# spec: http 2
# spec: http 10
@pytest.mark.parametrize("name", corpus("valid"))
def test_a_valid_request_reaches_the_application_as_it_was_sent(server: Server, name: str) -> None:
    raw = (CORPUS / "valid" / f"{name}.http").read_bytes()
    facts, fields = expectation(name)
    with Connection(server) as connection:
        connection.send(raw)
        if facts["body"] != "none" and "content" not in facts:  # the file has a head alone
            if "continue" in facts:
                assert connection.head().status == 100
            return
        method = facts["method"]
        response = connection.response(method)
        assert response.status == 200
        kept = {"1.1": "connection" not in response, "1.0": response.values("connection") == ["keep-alive"]}
        assert kept[facts["version"]] == (facts["keep-alive"] == "yes")
        if method != "HEAD":
            scope = json.loads(response.body)
            method = method.upper()  # so ASGI wants it
            assert (scope["method"], scope["raw_path"], scope["query_string"]) == (method, facts["path"], facts["query"])
            assert scope["http_version"] == facts["version"]
            assert [tuple(pair) for pair in scope["headers"]] == fields
            assert quoted(scope["body"]) == facts.get("content", '""')
        if facts["keep-alive"] == "no":
            assert connection.ends()
        elif "rest" not in facts:
            assert connection.get("/").status == 200


def quoted(text: str) -> str:
    for raw, escaped in ("\\", "\\\\"), ('"', '\\"'), ("\r", "\\r"), ("\n", "\\n"), ("\t", "\\t"):
        text = text.replace(raw, escaped)
    return f'"{text}"'


def one(server: Server, raw: str) -> Response:
    with Connection(server) as connection:
        return connection.send(raw).response()


# spec: http 1
def test_an_invalid_request_is_refused_however_its_bytes_come(server: Server) -> None:
    with Connection(server) as connection:
        for byte in b"GET / HTTP/1.1\r\nHost : test\r\n":
            try:
                connection.send(bytes([byte]))
            except OSError:
                break  # it was refused in the middle
        assert connection.response().status == 400


# spec: http 1
def test_trailers_are_not_merged_into_the_fields(server: Server) -> None:
    head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-late\r\n\r\n"
    scope = json.loads(one(server, head + "3\r\nabc\r\n0\r\nX-Late: 1\r\nHost: b\r\n\r\n").body)
    assert scope["headers"] == [["host", "a"], ["transfer-encoding", "chunked"], ["trailer", "x-late"]]
    assert scope["body"] == "abc"


# spec: http 2
@pytest.mark.parametrize(
    ("raw", "path", "host"),
    [
        ("GET http://example.com:81/a%20b?c HTTP/1.1\r\nHost: other\r\n\r\n", "/a%20b", "example.com:81"),
        ("GET http://example.com HTTP/1.1\r\nHost: other\r\n\r\n", "/", "example.com"),
        ("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n", "*", "test"),
    ],
)
def test_the_forms_of_a_target(server: Server, raw: str, path: str, host: str) -> None:
    scope = json.loads(one(server, raw).body)
    assert (scope["raw_path"], dict(scope["headers"])["host"]) == (path, host)


# spec: http 2
def test_connect_is_refused_with_what_is_allowed(server: Server) -> None:
    response = one(server, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
    assert response.status == 405
    assert "GET" in response["allow"]


# spec: http 2
@pytest.mark.parametrize("hosts", ["", "Host: a\r\nHost: a\r\n", "Host: a b\r\n"])
def test_http_1_1_wants_exactly_one_valid_host(server: Server, hosts: str) -> None:
    assert one(server, f"GET / HTTP/1.1\r\n{hosts}\r\n").status == 400


# spec: http 2
def test_http_1_0_keeps_the_connection_only_by_request(server: Server) -> None:
    with Connection(server) as connection:
        response = connection.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").response()
        assert (response.status, response["connection"]) == (200, "keep-alive")
        response = connection.send("GET / HTTP/1.0\r\n\r\n").response()
        assert (response.status, response.values("connection")) == (200, [])
        assert connection.ends()


# spec: http 1
def test_the_server_serves_after_all_that(server: Server) -> None:
    assert fetch(server, "/").status == 200
