"""WSGI, line by line, over the real binary: on one thread, on several, and in wsgiref's validator, which must keep silent."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from harness import Server, StartServer, eventually
from rawhttp import Connection, Response, fetch

HERE = Path(__file__).parent
COMPLAINTS = re.compile("AssertionError|garbage collected|WSGIWarning|Traceback|warning")


@pytest.fixture(scope="module", params=["one thread", "threads", "validated"])
def server(start_server: StartServer, request: pytest.FixtureRequest) -> Server:
    name = "validated" if request.param == "validated" else "app"
    threads = "1" if request.param == "one thread" else "4"
    return start_server(f"wsgi_cases:{name}", HERE, "--no-access-log", "--threads", threads)


@pytest.fixture(autouse=True)
def quiet(server: Server) -> Iterator[None]:
    """What is right is not complained of: neither by the server nor by the validator."""
    # spec: wsgi 1
    server.stderr.clear()
    yield
    fetch(server, "/log")
    assert not COMPLAINTS.search(server.output())


several_threads = pytest.mark.parametrize("server", ["threads", "validated"], indirect=True, scope="module")
one_thread = pytest.mark.parametrize("server", ["one thread"], indirect=True, scope="module")
not_validated = pytest.mark.parametrize("server", ["one thread", "threads"], indirect=True, scope="module")


def has_one_thread(server: Server) -> bool:
    return server.command[-1] == "1"


def noted(server: Server, count: int) -> list[str]:
    found = json.loads(fetch(server, f"/log?{count}").body)
    assert isinstance(found, list)
    return found


def environ(server: Server, request: str) -> dict[str, list[str | bool]]:
    with Connection(server) as connection:
        found = json.loads(connection.send(request).response().body)
    assert isinstance(found, dict)
    return found


def plan(connection: Connection, steps: list[list[object]], body: bytes, pieces: int = 0, chunked: bool = False) -> object:
    """Sends a body, whole or in pieces, and returns what the steps gave."""
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
    connection.send(f"POST /reads HTTP/1.1\r\nhost: test\r\nx-plan: {json.dumps(steps)}\r\n{framing}\r\n\r\n")
    size = pieces or len(body) or 1
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        connection.send("0\r\n\r\n")
    response = connection.response()
    assert response.status == 200, response
    return json.loads(response.body)


# spec: wsgi 2
def test_write_comes_before_the_iterable(server: Server) -> None:
    with Connection(server) as connection:
        assert connection.get("/written").body == b"one two three"
        assert connection.get("/only_written").body == b"all"
        assert connection.send("GET /written HTTP/1.0\r\n\r\n").response().body == b"one two three"


# spec: wsgi 2
@pytest.mark.parametrize(("path", "status", "body"), [("/late_start", 201, "made"), ("/as_class", 200, "class")])
def test_start_response_on_the_first_iteration(server: Server, path: str, status: int, body: str) -> None:
    response = fetch(server, path)
    assert (response.status, response.text) == (status, body)


# spec: wsgi 2
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("200 OK", "OK"),
        ("200 Fine", "Fine"),
        ("404 Nicht da", "Nicht da"),
        ("299 Whatever", "Whatever"),
        ("404 Not Found", "Not Found"),
        ("500 caf\xe9", "caf\xe9"),
        ("204 Nichts", "Nichts"),
        ("304 Wie vorher", "Wie vorher"),
        ("599 " + "x" * 1000, "x" * 1000),
    ],
)
def test_the_reason_phrase_is_the_application_s(server: Server, line: str, reason: str) -> None:
    with Connection(server) as connection:
        response = connection.get(f"/status?line={quote(line, encoding='utf-8')}")
        assert (response.status, response.reason) == (int(line[:3]), reason)
        assert connection.get("/hello").reason == "OK"


# spec: wsgi 2
def test_fields_go_out_as_given_and_in_order(server: Server) -> None:
    response = fetch(server, "/headers")
    given = [
        (name, value)
        for name, value in response.fields
        if name.lower() not in ("date", "server", "content-length", "transfer-encoding")
    ]
    assert given == [
        ("Content-Type", "text/plain"),
        ("X-Same", "1"),
        ("x-same", "2"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-Latin", "caf\xe9"),
        ("X-Empty", ""),
    ]


# spec: wsgi 5
def test_framing_is_the_server_s_business(server: Server) -> None:
    with Connection(server) as connection:
        response = connection.get("/hop_by_hop")
        assert response["transfer-encoding"] == "chunked"
        assert response.body == b"body"
        assert "keep-alive" not in response
        assert connection.get("/hello").body == b"hello"


# spec: wsgi 3
@pytest.mark.parametrize(("path", "status"), [("/replaced", 500), ("/replaced_late", 503)])
def test_exc_info_replaces_a_head_that_has_not_gone(server: Server, path: str, status: int) -> None:
    response = fetch(server, path)
    assert (response.status, response.reason, response.body) == (status, "Replaced", b"page")
    assert "x-old" not in response


BODY = b"one\ntwo two\n\nfour is long and has no end"
READS: list[tuple[list[list[object]], object]] = [
    ([["read", 3], ["read", 5], ["read", 1000], ["read", 10], ["read", 1]], ["one", "\ntwo ", BODY.decode()[8:], "", ""]),
    ([["read", -1], ["read", -1]], [BODY.decode(), ""]),
    ([["read", 0], ["read", 1], ["read", 0]], ["", "o", ""]),
    (
        [["readline"], ["readline"], ["readline"], ["readline"], ["readline"]],
        ["one\n", "two two\n", "\n", "four is long and has no end", ""],
    ),
    (
        [["readline", 2], ["readline", 2], ["readline", 2], ["readline", 0], ["readline", -1]],
        ["on", "e\n", "tw", "", "o two\n"],
    ),
    (
        [["readline", 2], ["read", 4], ["readline", 100], ["readlines"]],
        ["on", "e\ntw", "o two\n", ["\n", "four is long and has no end"]],
    ),
    ([["readlines"], ["readlines"], ["read", 5]], [["one\n", "two two\n", "\n", "four is long and has no end"], [], ""]),
    ([["readlines", 5], ["readlines", 1], ["readlines", 0]], [["one\n", "two two\n"], ["\n"], ["four is long and has no end"]]),
    (
        [["next"], ["iterate"], ["next"], ["iterate"]],
        ["one\n", ["two two\n", "\n", "four is long and has no end"], "at the end", []],
    ),
    ([["readline", 4], ["next"], ["read", 2], ["iterate"]], ["one\n", "two two\n", "\nf", ["our is long and has no end"]]),
]


# spec: wsgi 4
@pytest.mark.parametrize(("steps", "results"), READS)
@pytest.mark.parametrize("pieces", [0, 1, 7])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_reads_like_a_file(
    server: Server, steps: list[list[object]], results: object, pieces: int, chunked: bool
) -> None:
    with Connection(server) as connection:
        assert plan(connection, steps, BODY, pieces, chunked) == results


# spec: wsgi 4
@pytest.mark.parametrize("body", [b"", b"\n", b"\n\n", b"no newline", b"\r\nx\ry\n"])
def test_lines_end_with_a_newline_only(server: Server, body: bytes) -> None:
    expected = [line.decode() for line in re.findall(rb"[^\n]*\n|[^\n]+", body)]
    with Connection(server) as connection:
        assert plan(connection, [["iterate"], ["readline"], ["read", 1], ["readlines"]], body) == [expected, "", "", []]


# spec: wsgi 4
def test_a_request_without_a_body_has_an_empty_one(server: Server) -> None:
    with Connection(server) as connection:
        assert json.loads(connection.get("/count").body) == [0, True, "none"]
        response = connection.send('GET /reads HTTP/1.0\r\nx-plan: [["read",5],["readlines"]]\r\n\r\n').response()
        assert json.loads(response.body) == ["", []]


# spec: wsgi 4
@pytest.mark.parametrize("chunked", [False, True])
def test_the_length_of_a_body_that_comes_in_chunks_is_unknown_but_its_end_is_not(server: Server, chunked: bool) -> None:
    with Connection(server) as connection:
        if chunked:
            connection.send(
                "POST /count HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\n\r\n"
            )
        else:
            connection.request("POST", "/count", b"helloabc")
        assert json.loads(connection.response().body) == [8, True, "none" if chunked else "8"]
        assert connection.get("/hello").body == b"hello"


# spec: wsgi 4
@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
def test_a_body_that_nobody_reads_disturbs_nobody(server: Server, size: int) -> None:
    """A small one is skipped; behind a large one the connection ends, and the client knows it."""
    with Connection(server) as connection:
        response = connection.request("POST", "/hello", b"").response()
        assert response.body == b"hello"
        connection.send(f"POST /hello HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n".encode())
        response = connection.response()
        assert response.body == b"hello"
        if "connection" in response:
            assert size > 1 << 20
            assert response["connection"] == "close"
        else:
            connection.send(b"x" * size)
            assert connection.get("/hello").body == b"hello"


# spec: wsgi 4
def test_a_client_that_waits_for_100_gets_it_when_the_body_is_read(server: Server) -> None:
    with Connection(server) as connection:
        connection.send("POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
        assert connection.head().status == 100
        assert json.loads(connection.send("hello").response().body)[0] == 5
        connection.send("POST /hello HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
        assert connection.head().status == 200


# spec: wsgi 4
# spec: wsgi 5
def test_a_body_is_answered_while_it_comes(server: Server) -> None:
    with Connection(server) as connection:
        connection.send("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        assert connection.send("3e8\r\n" + "a" * 1000 + "\r\n").head().status == 200
        assert connection.chunk() == b"a" * 1000
        connection.send("7d0\r\n" + "b" * 2000 + "\r\n")
        assert connection.read(len("3e8\r\n")) and connection.read(1000) == b"b" * 1000  # noqa: PT018
        assert connection.line() == ""
        assert connection.chunk() == b"b" * 1000
        connection.send("2\r\ncd\r\n0\r\n\r\n")
        assert (connection.chunk(), connection.chunk(), connection.line()) == (b"cd", b"", "")
        assert connection.get("/hello").body == b"hello"


# spec: wsgi 5
@pytest.mark.parametrize(
    "kind",
    [
        "list",
        "one",
        "tuple",
        "one tuple",
        "generator",
        "iterator",
        "old",
        "body",
        "empties",
        "set",
        "dict",
        "file",
    ],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_any_iterable_of_bytes_is_a_body(server: Server, kind: str, version: str) -> None:
    check_body(server, kind, version)


# spec: wsgi 5
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@not_validated  # there the PEP is read more strictly
def test_items_may_be_of_a_subclass(server: Server, version: str) -> None:
    check_body(server, "subclass", version)


def check_body(server: Server, kind: str, version: str) -> None:
    with Connection(server) as connection:
        connection.send(f"GET /items?kind={kind.replace(' ', '+')} HTTP/{version}\r\nhost: a\r\nconnection: keep-alive\r\n\r\n")
        response = connection.response()
        assert response.body == b"one two"
        if "content-length" in response:
            assert response["content-length"] == "7"
        else:
            assert ("transfer-encoding" in response) == (version == "1.1")
    noted(server, 0)


# spec: wsgi 5
@pytest.mark.parametrize("kind", ["none", "none tuple", "none generator", "all empty", "one empty"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_empty_body(server: Server, kind: str, method: str) -> None:
    with Connection(server) as connection:
        response = connection.request(method, f"/items?kind={kind.replace(' ', '+')}").response(method)
        assert (response.status, response.body) == (200, b"")
        assert connection.get("/hello").body == b"hello"


# spec: wsgi 5
@pytest.mark.parametrize("path", ["/stream", "/stream_written"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@several_threads  # one can't open its own gate
def test_an_item_is_with_the_client_before_the_next_is_made(server: Server, path: str, version: str) -> None:
    with Connection(server) as connection:
        connection.send(f"GET {path} HTTP/{version}\r\nhost: a\r\n\r\n")
        for number in range(3):
            fetch(server, "/open")
            if number == 0:
                assert connection.head().status == 200
            item = connection.chunk() if version == "1.1" else connection.read(6)
            assert item == b"item %d" % number
        assert (connection.chunk() if version == "1.1" else connection.rest()) == b""
    if path == "/stream":
        assert noted(server, 1) == ["closed"]


# spec: wsgi 5
# spec: wsgi 9
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("line", ["204 No Content", "304 Not Modified"])
def test_a_body_where_there_must_be_none_is_dropped(server: Server, line: str, method: str) -> None:
    with Connection(server) as connection:
        response = connection.request(method, f"/no_body?line={quote(line)}").response(method)
        assert (response.status, response.body) == (int(line[:3]), b"")
        assert "transfer-encoding" not in response
        assert connection.get("/hello").body == b"hello"
    assert noted(server, 1) == ["closed"]


# spec: wsgi 9
@pytest.mark.parametrize(("has", "says"), [(7, "7"), (3, "7"), (0, "7")])
def test_head_has_the_fields_and_no_body(server: Server, has: int, says: str) -> None:
    with Connection(server) as connection:
        response = connection.request("HEAD", f"/length?says={says}&has={has}").response("HEAD")
        assert (response.status, response["content-length"]) == (200, "7")
        assert connection.get("/hello").body == b"hello"
    assert noted(server, 1) == ["closed"]


# spec: wsgi 12
# spec: wsgi 5
@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize(("path", "said"), [("/endless", "closed"), ("/endless_written", "ClientDisconnected")])
def test_a_client_that_leaves_releases_whoever_sends(server: Server, leave: str, path: str, said: str) -> None:
    connection = Connection(server)
    connection.request("GET", f"{path}?{leave}").head()
    connection.read(100_000)
    getattr(connection, leave)()
    assert noted(server, 1) == [f"{said} {leave}"]
    assert fetch(server, "/hello").body == b"hello"


# spec: wsgi 12
@several_threads
def test_a_client_that_has_left_is_noticed_at_the_next_item(server: Server) -> None:
    connection = Connection(server)
    connection.request("GET", "/gated").head()
    assert connection.chunk() == b"first"
    connection.close()

    def closed() -> list[str]:
        fetch(server, "/open")
        return noted(server, 0)

    assert eventually(closed) == ["closed gated"]
    fetch(server, "/shut")


# spec: wsgi 12
@pytest.mark.parametrize("item", [b"1", b"0"])
def test_items_that_use_up_no_credit_tell_of_a_client_that_has_left(server: Server, tmp_path: Path, item: bytes) -> None:
    """On one thread there is no other that could hear of it."""
    os.mkfifo(tmp_path / "pace")
    connection = Connection(server)
    connection.request("GET", f"/paced?{tmp_path / 'pace'}")
    with open(tmp_path / "pace", "wb", buffering=0) as pace:  # waits for the worker's open
        pace.write(b"1")
        assert connection.head().status == 200
        assert connection.chunk() == b"1"
        connection.reset()

        def is_closed() -> bool:
            try:
                pace.write(item)
            except BrokenPipeError:
                return True
            return False

        assert eventually(is_closed)
    assert noted(server, 1) == ["closed paced"]


# spec: wsgi 7
# spec: wsgi 8
def test_every_variable_has_its_value_and_its_type(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with Connection(server) as connection:
        ours = connection.socket.getsockname()
        found = json.loads(
            connection.send(
                "POST /caf%C3%A9%2Fx/%E2%82%AC?q=%20+&a HTTP/1.1\r\nHost: example.org:81\r\nContent-Type: text/x; a=b\r\n"
                "Content-Length: 0\r\nCookie: a=1\r\nAccept: x\r\ncookie: b=2\r\nACCEPT: y\r\nProxy: evil\r\nX_Forged: evil\r\n"
                "X-Empty:\r\nX-Latin: \xe9\r\nUser-Agent: t\r\n\r\n"
            )
            .response()
            .body
        )
    for own in ("wsgi.input", "wsgi.errors", "wsgi.file_wrapper", "wsgi.early_hints", "wsgi.version"):
        assert own in found
        found[own] = found[own][0]
    validated = "wsgi_cases:validated" in server.command
    assert found == {
        "type": ["dict", ""],
        "REQUEST_METHOD": ["str", "POST"],
        "SCRIPT_NAME": ["str", ""],
        "PATH_INFO": ["str", "/caf\xc3\xa9/x/\xe2\x82\xac"],
        "QUERY_STRING": ["str", "q=%20+&a"],
        "RAW_URI": ["str", "/caf%C3%A9%2Fx/%E2%82%AC?q=%20+&a"],
        "SERVER_NAME": ["str", host],
        "SERVER_PORT": ["str", port],
        "SERVER_PROTOCOL": ["str", "HTTP/1.1"],
        "SERVER_SOFTWARE": ["str", found["SERVER_SOFTWARE"][1]],
        "REMOTE_ADDR": ["str", ours[0]],
        "REMOTE_PORT": ["str", str(ours[1])],
        "CONTENT_TYPE": ["str", "text/x; a=b"],
        "CONTENT_LENGTH": ["str", "0"],
        "HTTP_HOST": ["str", "example.org:81"],
        "HTTP_COOKIE": ["str", "a=1; b=2"],
        "HTTP_ACCEPT": ["str", "x,y"],
        "HTTP_X_EMPTY": ["str", ""],
        "HTTP_X_LATIN": ["str", "\xe9"],
        "HTTP_USER_AGENT": ["str", "t"],
        "wsgi.version": "tuple",
        "wsgi.url_scheme": ["str", "http"],
        "wsgi.input": "InputWrapper" if validated else "Input",
        "wsgi.errors": "ErrorWrapper" if validated else "TextIOWrapper",
        "wsgi.multithread": ["bool", not has_one_thread(server)],
        "wsgi.multiprocess": ["bool", False],
        "wsgi.run_once": ["bool", False],
        "wsgi.input_terminated": ["bool", True],
        "wsgi.file_wrapper": "type",
        "wsgi.early_hints": "Input",
    }


# spec: wsgi 7
@pytest.mark.parametrize(
    ("target", "path", "query", "raw"),
    [
        ("/", "/", "", "/"),
        ("/a%2fb%2Fc", "/a/b/c", "", "/a%2fb%2Fc"),
        ("/%", "/%", "", "/%"),
        ("/%zz%4", "/%zz%4", "", "/%zz%4"),
        ("/a+b", "/a+b", "", "/a+b"),
        ("/a;b=c", "/a;b=c", "", "/a;b=c"),
        ("//a/../b/.", "//a/../b/.", "", "//a/../b/."),
        ("/%FF%00", "/\xff\x00", "", "/%FF%00"),
        ("/?", "/", "", "/?"),
        ("/a?b?c=%C3%A9", "/a", "b?c=%C3%A9", "/a?b?c=%C3%A9"),
    ],
)
def test_the_target(server: Server, target: str, path: str, query: str, raw: str) -> None:
    found = environ(server, f"GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (found["PATH_INFO"][1], found["QUERY_STRING"][1]) == (path, query)
    assert found["RAW_URI"][1] in (raw, raw.removesuffix("?"))
    assert "CONTENT_LENGTH" not in found
    assert "CONTENT_TYPE" not in found


# spec: wsgi 7
def test_targets_of_the_other_forms(server: Server) -> None:
    found = environ(server, "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (found["REQUEST_METHOD"][1], found["PATH_INFO"][1], found["RAW_URI"][1]) == ("OPTIONS", "", "*")
    found = environ(server, "GET http://other:8/x%20y?q HTTP/1.1\r\nhost: other:8\r\n\r\n")
    assert (found["PATH_INFO"][1], found["QUERY_STRING"][1], found["HTTP_HOST"][1]) == ("/x y", "q", "other:8")
    found = environ(server, "GET http://other HTTP/1.1\r\nhost: other\r\n\r\n")
    assert found["PATH_INFO"][1] == "/"
    found = environ(server, "GET / HTTP/1.0\r\n\r\n")
    assert found["SERVER_PROTOCOL"][1] == "HTTP/1.0"
    assert "HTTP_HOST" not in found


# spec: wsgi 7
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PATCH", "PUT", "DELETE", "TRACE"])
def test_the_method(server: Server, method: str) -> None:
    if method == "HEAD":
        return
    assert environ(server, f"{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")["REQUEST_METHOD"][1] == method


# spec: wsgi 8
def test_fields_that_come_twice_or_look_alike(server: Server) -> None:
    for twins in ("X-Real: good\r\nX_Real: evil\r\n", "X_Real: evil\r\nX-Real: good\r\n", "x_real: evil\r\nx-real: good\r\n"):
        found = environ(server, f"GET / HTTP/1.1\r\nhost: a\r\n{twins}\r\n")
        assert found["HTTP_X_REAL"][1] == "good"
    found = environ(
        server,
        "GET / HTTP/1.1\r\nhost: a\r\nX_Alone: x\r\nCookie: a\r\nX-A: 1\r\nCookie: b\r\nx-a: 2\r\nCookie: c\r\nproxy:\r\n\r\n",
    )
    assert (found["HTTP_COOKIE"][1], found["HTTP_X_A"][1]) == ("a; b; c", "1,2")
    assert "HTTP_X_ALONE" not in found
    assert "HTTP_PROXY" not in found


# spec: wsgi 7
def test_the_error_stream_ends_in_the_log(server: Server) -> None:
    fetch(server, "/errors")
    for line in ("written: \xe9 \u20ac", "line one", "line two", "unfinished, finished", "printed"):
        server.wait_for(line)


# spec: wsgi 7
def test_early_hints(server: Server) -> None:
    with Connection(server) as connection:
        connection.request("GET", "/hints")
        first = connection.head()
        assert (first.status, first.reason) == (103, "Early Hints")
        assert first.values("link") == ["</a.css>; rel=preload; as=style", "</b.js>; rel=preload"]
        assert connection.head().values("link") == ["</c.js>; rel=preload"]
        assert connection.response().body == b"body"
        assert connection.get("/hello").body == b"hello"
    with Connection(server) as connection:
        assert connection.send("GET /hints HTTP/1.0\r\n\r\n").response().body == b"body"


def parallel(server: Server, target: str, count: int) -> list[Response]:
    connections = [Connection(server) for _ in range(count)]
    for number, connection in enumerate(connections):
        connection.request("GET", target.format(number))
    responses = [connection.response() for connection in connections]
    for connection in connections:
        connection.close()
    return responses


# spec: wsgi 10
@several_threads
def test_threads_run_requests_at_once_and_keep_what_is_theirs(server: Server) -> None:
    answers = [json.loads(response.body) for response in parallel(server, "/together?{}", 3)]
    assert sorted(mine for _, _, mine in answers) == ["0", "1", "2"]
    assert len({name for name, _, _ in answers}) == 3
    assert not any(main for _, main, _ in answers)


# spec: wsgi 10
@one_thread
def test_one_thread_is_the_main_thread(server: Server) -> None:
    for number in range(3):
        name, main, count, listed = json.loads(fetch(server, "/thread").body)
        assert (name, main, listed) == ("MainThread", True, True)
        assert count > number
    assert json.loads(fetch(server, "/handled_signal").body) == ["MainThread"]
