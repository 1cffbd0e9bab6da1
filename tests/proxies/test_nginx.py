"""nginx in front, by the uwsgi protocol and by SCGI: `uwsgi_pass` and `scgi_pass` to TCP ports and unix sockets."""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from harness import Server, StartServer, family, resident
from nginx import CLIENT, SETTINGS, Front, Nginx, StartNginx, upstream
from rawhttp import Connection, Response, fetch

HERE = Path(__file__).parent
MIB = 1 << 20
LARGE = 100 * MIB


class Site:
    """awaitd with an application, and nginx in front of it in every way."""

    def __init__(self, server: Server, nginx: Nginx, wsgi: bool) -> None:
        self.server, self.nginx, self.wsgi = server, nginx, wsgi

    def __getitem__(self, front: str) -> Front:
        return self.nginx[front]

    def fetch(self, front: str, target: str, **fields: str) -> Response:
        return fetch(self.nginx[front], target, **fields)

    def seen(self, front: str, target: str, **fields: str) -> dict[str, Any]:
        """The environ, or the scope, of a request."""
        response = self.fetch(front, target, **fields)
        assert response.status == 200, response
        return json.loads(response.body)

    def event(self, name: str) -> str:
        response = fetch(self.server, f"/event?of={name}")
        assert response.status == 200, response
        return response.text

    def open_gate(self, name: str) -> None:
        assert fetch(self.server, f"/open?gate={name}").status == 200


def fronts(urls: dict[str, str]) -> dict[str, str]:
    """The server blocks: each protocol over TCP, over a unix socket, and without buffering; then what differs by settings."""
    blocks = {}
    for protocol in ("uwsgi", "scgi"):
        to, params = upstream(urls[protocol]), f"include {SETTINGS}/{protocol}_params;"
        unix = upstream(urls[f"{protocol}-unix"])
        streaming = f"{protocol}_buffering off;"
        if protocol == "uwsgi":  # scgi_request_buffering off gives a wrong CONTENT_LENGTH before nginx/nginx#1118
            streaming += "uwsgi_request_buffering off;"
        blocks[protocol] = f"location / {{ {params} {protocol}_pass {to}; }}"
        blocks[f"{protocol}-unix"] = f"location / {{ {params} {protocol}_pass {unix}; }}"
        blocks[f"{protocol}-streaming"] = f"location / {{ {params} {streaming} {protocol}_pass {to}; }}"
        blocks[f"{protocol}-mounted"] = f"""
            server_name www.example.org;
            auth_basic "x";
            auth_basic_user_file {urls["users"]};
            location /app {{
                {params}
                {protocol}_param SCRIPT_NAME /app;
                {protocol}_param REMOTE_USER $remote_user;
                {protocol}_param X_TEAM "caf\xe9 a=b";
                {protocol}_param HTTPS on;
                {protocol}_pass {to};
            }}
            location /old/ {{ rewrite ^/old/(.*)$ /new/$1?added=1 break; {params} {protocol}_pass {to}; }}
        """
    return blocks


FRONTS = [f"{protocol}{way}" for protocol in ("uwsgi", "scgi") for way in ("", "-unix", "-streaming")]


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def site(
    request: pytest.FixtureRequest,
    start_server: StartServer,
    start_nginx: StartNginx,
    tmp_path_factory: pytest.TempPathFactory,
) -> Site:
    folder = tmp_path_factory.mktemp("site")
    binds = [
        "127.0.0.1:0",
        *("uwsgi://127.0.0.1:0", f"uwsgi://unix:{folder}/uwsgi.sock"),
        *("scgi://127.0.0.1:0", f"scgi://unix:{folder}/scgi.sock"),
    ]
    threads = ["--threads", "8"] if request.param == "wsgi" else []
    server = start_server(f"{request.param}:app", HERE, *threads, *(word for bind in binds for word in ("--bind", bind)))
    urls = {}
    for protocol in ("uwsgi", "scgi"):
        urls[protocol] = server.wait_for(rf"ready on ({protocol}://127\.0\.0\.1:\d+):")[1]
        urls[f"{protocol}-unix"] = server.wait_for(rf"ready on ({protocol}://unix:{folder}/{protocol}\.sock):")[1]
    urls["users"] = str(folder / "users")
    (folder / "users").write_text("ann:{PLAIN}secret\n")
    folder.chmod(0o755)
    return Site(server, start_nginx(fronts(urls)), request.param == "wsgi")


# spec: protocols 10
@pytest.mark.parametrize("front", FRONTS)
def test_a_request_and_its_answer(site: Site, front: str) -> None:
    response = site.fetch(front, "/hello")
    assert (response.status, response.body, response["content-type"]) == (200, b"Hello, world!", "text/plain")
    assert len(response.values("server")) == len(response.values("date")) == 1  # nginx's own
    assert response["server"].startswith("nginx")
    with Connection(site[front]) as connection:  # and again, on the client's connection
        for n in range(3):
            assert connection.get(f"/hello?{n}").body == b"Hello, world!"
    assert site.server.stdout.wait_for(rf'{re.escape(CLIENT)}:\d+ "GET /hello\?2 HTTP/1\.1" 200 13 ')


# spec: protocols 10
# spec: wsgi 7
@pytest.mark.parametrize("front", ["uwsgi", "uwsgi-unix", "scgi", "scgi-unix"])
def test_what_the_application_sees(site: Site, front: str) -> None:
    with Connection(site[front]) as connection:
        mine = connection.socket.getsockname()
        connection.send(
            "POST /caf%C3%A9/a%2Fb?q=%20 HTTP/1.1\r\nHost: www.example.org\r\nContent-Type: text/plain\r\n"
            "Content-Length: 5\r\nCookie: a=1\r\nX-Two-Words: \xe9\r\nX-Under_score: no\r\nProxy: http://evil/\r\n\r\nhello"
        )
        seen = json.loads(connection.response().body)
    port = site[front].port
    if site.wsgi:
        assert {name: value for name, value in seen.items() if not name.startswith("wsgi.")} == {
            "REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": "/caf\xc3\xa9/a/b", "QUERY_STRING": "q=%20",
            "RAW_URI": "/caf%C3%A9/a%2Fb?q=%20", "REQUEST_URI": "/caf%C3%A9/a%2Fb?q=%20", "SERVER_NAME": "localhost",
            "SERVER_PORT": str(port), "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "awaitd", "REMOTE_ADDR": CLIENT,
            "REMOTE_PORT": str(mine[1]), "CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "5", "REQUEST_SCHEME": "http",
            "DOCUMENT_ROOT": "/usr/share/nginx/html", "HTTP_HOST": "www.example.org", "HTTP_COOKIE": "a=1",
            "HTTP_X_TWO_WORDS": "\xe9", "body": "hello",
        } | ({"DOCUMENT_URI": "/caf\xc3\xa9/a/b"} if front.startswith("scgi") else {})  # fmt: skip
        assert seen["wsgi.url_scheme"] == "http"
        return
    variables = seen["extensions"].pop("awaitd.cgi")["variables"]
    assert variables["REQUEST_URI"] == "/caf%C3%A9/a%2Fb?q=%20"
    assert variables["DOCUMENT_ROOT"] == "/usr/share/nginx/html"
    assert not {"REQUEST_METHOD", "PATH_INFO", "HTTP_COOKIE", "CONTENT_LENGTH", "SCGI"} & set(variables)
    assert sorted(seen["headers"]) == [
        *(["content-length", "5"], ["content-type", "text/plain"], ["cookie", "a=1"]),
        *(["host", "www.example.org"], ["x-two-words", "\xe9"]),
    ]
    assert {name: value for name, value in seen.items() if name not in ("headers", "extensions", "asgi", "state")} == {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/caf\xe9/a/b",
        "raw_path": "/caf%C3%A9/a%2Fb", "query_string": "q=%20", "root_path": "", "client": [CLIENT, mine[1]],
        "server": ["localhost", port], "body": "hello",
    }  # fmt: skip


# spec: protocols 10
# spec: wsgi 7
@pytest.mark.parametrize("front", ["uwsgi-mounted", "scgi-mounted"])
def test_a_mount_point_a_user_and_params(site: Site, front: str) -> None:
    assert site.fetch(front, "/app/x").status == 401  # by nginx
    seen = site.seen(front, "/app/x%2Fy", authorization="Basic YW5uOnNlY3JldA==")
    if site.wsgi:
        assert (seen["SCRIPT_NAME"], seen["PATH_INFO"], seen["RAW_URI"]) == ("/app", "/x/y", "/app/x%2Fy")
        assert (seen["REMOTE_USER"], seen["X_TEAM"]) == ("ann", "caf\xc3\xa9 a=b")
        assert (seen["wsgi.url_scheme"], seen["HTTPS"], seen["SERVER_NAME"]) == ("https", "on", "www.example.org")
        return
    assert (seen["root_path"], seen["path"], seen["raw_path"]) == ("/app", "/app/x/y", "/app/x%2Fy")
    variables = seen["extensions"]["awaitd.cgi"]["variables"]
    assert (variables["REMOTE_USER"], variables["X_TEAM"]) == ("ann", "caf\xe9 a=b")
    assert (seen["scheme"], seen["server"]) == ("https", ["www.example.org", site[front].port])


# spec: protocols 10
@pytest.mark.parametrize("front", ["uwsgi-mounted", "scgi-mounted"])
def test_a_rewrite_changes_the_path(site: Site, front: str) -> None:
    seen = site.seen(front, "/old/a%20b?q=1", authorization="Basic YW5uOnNlY3JldA==")
    if site.wsgi:
        assert (seen["PATH_INFO"], seen["QUERY_STRING"], seen["RAW_URI"]) == (
            "/new/a b",
            "added=1&q=1",
            "/new/a%20b?added=1&q=1",
        )
        assert seen["REQUEST_URI"] == "/old/a%20b?q=1"
    else:
        assert (seen["path"], seen["query_string"], seen["raw_path"]) == ("/new/a b", "added=1&q=1", "/new/a%20b")


# spec: protocols 10
@pytest.mark.parametrize("front", ["uwsgi", "scgi"])
def test_other_versions_of_http(site: Site, front: str) -> None:
    with Connection(site[front]) as connection:
        seen = json.loads(connection.send("GET /seen HTTP/1.0\r\n\r\n").response().body)
    assert (seen["SERVER_PROTOCOL"] if site.wsgi else "HTTP/" + seen["http_version"]) == "HTTP/1.0"


# spec: protocols 10
@pytest.mark.parametrize("front", FRONTS)
def test_answers_of_all_kinds(site: Site, front: str) -> None:
    with Connection(site[front]) as connection:
        head = connection.request("HEAD", "/hello").response("HEAD")
        assert (head.status, head["content-length"]) == (200, "13")
        cookies = json.dumps([["Set-Cookie", "a=1"], ["Set-Cookie", "b=2; Path=/"]]).replace(" ", "%20").replace('"', "%22")
        response = connection.get(f"/status?code=200&fields={cookies}&body=x")
        assert (response.values("set-cookie"), response.body) == (["a=1", "b=2; Path=/"], b"x")
        for code in (204, 304):
            response = connection.get(f"/status?code={code}")
            assert (response.status, response.body) == (code, b"")
        moved = connection.get("/status?code=302&fields=[[%22Location%22,%22/hello%22]]")
        assert (moved.status, moved["location"]) == (302, "/hello")
        for code in (404, 418, 503):
            response = connection.get(f"/status?code={code}&body=no")
            assert (response.status, response.body) == (code, b"no")
        failed = connection.get("/raises")
        assert failed.status == 500
        error_id = re.search(r"error id: (\w{16})", failed.text)
        assert error_id
    site.server.wait_for(error_id[1])
    assert site.fetch(front, "/hello").status == 200


# spec: protocols 10
# spec: wsgi 5
@pytest.mark.parametrize("front", ["uwsgi-streaming", "scgi-streaming"])
def test_items_come_one_by_one(site: Site, front: str) -> None:
    with Connection(site[front]) as connection:
        response = connection.request("GET", f"/items?gate={front}").head()
        assert response.status == 200
        assert connection.chunk() == b"one,"  # while the second waits for this
        site.open_gate(front)
        assert connection.chunk() == b"two"
        assert connection.chunk() == b""


# spec: protocols 10
@pytest.mark.parametrize("front", ["uwsgi", "scgi", "uwsgi-unix"])
def test_buffered_items_come_whole(site: Site, front: str) -> None:
    site.open_gate(f"buffered-{front}")
    assert site.fetch(front, f"/items?gate=buffered-{front}").body == b"one,two"


@contextmanager
def flat(server: Server) -> Iterator[None]:
    """The memory of the server and of its worker does not grow by what goes through them."""
    before = {pid: resident(pid) for pid in family(server.pid)}
    yield
    grown = {pid: (resident(pid) - size) / MIB for pid, size in before.items()}
    assert max(grown.values()) < 24, f"MiB: {grown}"


def upload(site: Site, front: str, size: int, chunked: bool = False) -> None:
    block, checksum = memoryview(bytes(range(256)) * (MIB // 256)), hashlib.sha256()
    with Connection(site[front], timeout=60) as connection:
        framing = "transfer-encoding: chunked" if chunked else f"content-length: {size}"
        connection.send(f"POST /digest HTTP/1.1\r\nhost: test\r\n{framing}\r\n\r\n")
        for left in range(size, 0, -MIB):
            part = block[: min(left, MIB)]
            checksum.update(part)
            connection.send(b"%x\r\n%b\r\n" % (len(part), part) if chunked else bytes(part))
        if chunked:
            connection.send("0\r\n\r\n")
        assert connection.response().text == f"{size} {checksum.hexdigest()}"


# spec: protocols 10
# spec: wsgi 4
@pytest.mark.parametrize("front", ["uwsgi", "uwsgi-unix", "uwsgi-streaming", "scgi-streaming"])
def test_a_large_upload(site: Site, front: str) -> None:
    upload(site, front, 8 * MIB + 1)
    with flat(site.server):
        upload(site, front, LARGE)


# spec: protocols 10
# spec: wsgi 4
@pytest.mark.parametrize("front", ["uwsgi", "uwsgi-streaming", "scgi", "scgi-streaming"])
def test_a_chunked_upload(site: Site, front: str) -> None:
    upload(site, front, 3 * MIB + 1, chunked=True)
    with Connection(site[front]) as connection:
        connection.send("POST /seen HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        seen = json.loads(connection.response().body)
    names = set(seen) if site.wsgi else {f"HTTP_{name.upper().replace('-', '_')}" for name, _ in seen["headers"]}
    assert seen["body"] == "hello"
    assert "HTTP_TRANSFER_ENCODING" not in names  # nginx has taken it off
    assert (seen.get("CONTENT_LENGTH") or dict(seen["headers"])["content-length"]) == "5"


# spec: protocols 10
# spec: wsgi 6
@pytest.mark.parametrize("front", ["uwsgi", "scgi-unix"])
def test_files(site: Site, front: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4096 * 8)
    assert hashlib.sha256(site.fetch(front, f"/file?path={path}").body).digest() == hashlib.sha256(path.read_bytes()).digest()


# spec: protocols 10
def test_the_client_leaves_in_the_middle_of_its_upload(site: Site) -> None:
    front = "uwsgi-streaming"  # only there the application sees anything of a body that is not whole
    with Connection(site[front]) as connection:
        connection.send(f"POST /digest?note=up-{front} HTTP/1.1\r\nhost: test\r\ncontent-length: {LARGE}\r\n\r\n")
        connection.send(bytes(MIB))
        assert site.event(f"up-{front}") == "begun"
        connection.reset()
        assert site.event(f"up-{front}") == ("ClientDisconnected" if site.wsgi else "http.disconnect")
    assert site.fetch(front, "/hello").status == 200


# spec: protocols 10
# spec: wsgi 12
@pytest.mark.parametrize("front", ["uwsgi", "uwsgi-unix", "uwsgi-streaming", "scgi", "scgi-streaming"])
def test_the_client_leaves_in_the_middle_of_its_download(site: Site, front: str) -> None:
    with Connection(site[front]) as connection:
        assert connection.request("GET", f"/flood?note=down-{front}").head().status == 200
        assert connection.skip(4 * MIB) == 4 * MIB
        connection.reset()
        assert site.event(f"down-{front}") == "gone"
    assert site.fetch(front, "/hello").status == 200


# spec: protocols 10
@pytest.mark.parametrize("front", ["uwsgi", "scgi"])
def test_a_bad_request_is_the_clients_fault(site: Site, front: str) -> None:
    """400, not 502: for a broken connection nginx would blame the server, and take it out of service for all."""
    with Connection(site[front]) as connection:
        response = connection.send("GET /hello HTTP/1.1\r\nhost: test\r\nx-a: b\x01c\r\n\r\n").response()
    assert (response.status, response.text) == (400, "control character in a header field value\n")
    with Connection(site[front]) as connection:
        assert connection.get("/hello?" + "q" * 8000, x_one="x" * 7000).status == 200
        assert connection.get("/hello", **{f"x-{n}": "x" for n in range(101)}).status == 431


# spec: protocols 10
def test_http2_in_front(site: Site, start_nginx: StartNginx) -> None:
    to = upstream(site.server.wait_for(r"ready on (uwsgi://127\.0\.0\.1:\d+):")[1])
    nginx = start_nginx({"h2": f"location / {{ include {SETTINGS}/uwsgi_params; uwsgi_pass {to}; }}"}, http2=True)
    command = [
        "curl",
        "-sS",
        "--max-time",
        "10",
        "--http2-prior-knowledge",
        "-H",
        "cookie: a=1",
        f"http://{nginx['h2'].address}/x?y",
    ]
    seen = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    if site.wsgi:
        assert (seen["SERVER_PROTOCOL"], seen["HTTP_HOST"], seen["HTTP_COOKIE"]) == ("HTTP/2", "127.0.0.1", "a=1")
    else:
        assert seen["http_version"] == "2"
        assert ["host", "127.0.0.1"] in seen["headers"]
    assert site.server.stdout.wait_for(r'"GET /x\?y HTTP/2\.0" 200 ')


# spec: protocols 10
@pytest.mark.parametrize("front", ["uwsgi", "uwsgi-unix", "uwsgi-streaming", "scgi", "scgi-streaming"])
@pytest.mark.parametrize("size", [100_000, 2 * MIB, LARGE])
def test_a_body_that_nobody_reads(site: Site, front: str, size: int) -> None:
    """The answer arrives all the same."""
    with Connection(site[front], timeout=60) as connection:
        connection.send(f"POST /hello HTTP/1.1\r\nhost: test\r\ncontent-length: {size}\r\n\r\n")
        with suppress(OSError):  # nginx may close the connection behind the answer
            for left in range(size, 0, -MIB):
                connection.send(bytes(min(left, MIB)))
        assert connection.response().status == 200
