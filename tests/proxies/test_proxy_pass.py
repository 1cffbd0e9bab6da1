"""nginx in front by HTTP/1.1: `proxy_pass` with `keepalive`, as most sites have it."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import pytest

from harness import Server, StartServer, family, resident
from nginx import CLIENT, Nginx, StartNginx, upstream
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
MIB = 1 << 20

COMMON = """
    upstream plain {{ server {plain}; keepalive 4; }}
    upstream trusting {{ server {trusting}; keepalive 4; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
"""


class Site:
    def __init__(self, plain: Server, trusting: Server, nginx: Nginx) -> None:
        self.plain, self.trusting, self.nginx = plain, trusting, nginx


@pytest.fixture(scope="module")
def site(start_server: StartServer, start_nginx: StartNginx, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    plain = start_server("asgi:app", HERE)
    trusting = start_server("asgi:app", HERE, "--bind", f"unix:{folder}/s", "--forwarded-allow-ips", "unix")
    folder.chmod(0o755)
    streaming = "proxy_request_buffering off; proxy_buffering off;"
    nginx = start_nginx(
        {
            "plain": "location / { proxy_pass http://plain; }",
            "streaming": f"location / {{ {streaming} proxy_pass http://plain; }}",
            "trusting": "location / { proxy_pass http://trusting; }",
        },
        COMMON.format(plain=upstream(plain.url), trusting=upstream(trusting.url)),
    )
    return Site(plain, trusting, nginx)


# spec: protocols 10
def test_connections_are_used_again(site: Site) -> None:
    """nginx's own address is the client here, since nobody is trusted: its port tells one connection from another."""
    ports = {json.loads(fetch(site.nginx["plain"], f"/{n}").body)["client"][1] for n in range(50)}
    assert len(ports) == 1
    for target in ("/status?code=204", "/status?code=304", "/hello", "/items?gate=again"):  # each kind of framing
        fetch(site.plain, "/open?gate=again")
        fetch(site.nginx["plain"], target)
        assert json.loads(fetch(site.nginx["plain"], "/after").body)["client"][1] in ports, target
    with Connection(site.nginx["plain"]) as connection:
        assert connection.request("POST", "/hello", b"x" * 1000).response().status == 200  # nobody read it
    assert json.loads(fetch(site.nginx["plain"], "/after").body)["client"][1] in ports


# spec: protocols 10
@pytest.mark.parametrize("front", ["plain", "streaming"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload(site: Site, front: str, chunked: bool) -> None:
    size, block, checksum = 100 * MIB, bytes(range(256)) * (MIB // 256), hashlib.sha256()
    fetch(site.nginx[front], "/hello")
    before = {pid: resident(pid) for pid in family(site.plain.pid)}
    with Connection(site.nginx[front], timeout=60) as connection:
        framing = "transfer-encoding: chunked" if chunked else f"content-length: {size}"
        connection.send(f"POST /digest HTTP/1.1\r\nhost: test\r\n{framing}\r\n\r\n")
        for _ in range(size // MIB):
            checksum.update(block)
            connection.send(b"%x\r\n%b\r\n" % (MIB, block) if chunked else block)
        connection.send("0\r\n\r\n" if chunked else "")
        assert connection.response().text == f"{size} {checksum.hexdigest()}"
    grown = {pid: (resident(pid) - was) / MIB for pid, was in before.items()}
    assert max(grown.values()) < 24, f"MiB: {grown}"


# spec: protocols 10
@pytest.mark.parametrize("front", ["plain", "streaming"])
def test_a_body_that_nobody_reads(site: Site, front: str) -> None:
    for size in (2 * MIB, 100 * MIB):
        with Connection(site.nginx[front], timeout=60) as connection:
            connection.send(f"POST /hello HTTP/1.1\r\nhost: test\r\ncontent-length: {size}\r\n\r\n")
            with suppress(OSError):  # nginx may close the connection behind the answer
                for _ in range(size // MIB):
                    connection.send(bytes(MIB))
            assert connection.response().status == 200


# spec: protocols 10
def test_items_come_one_by_one(site: Site) -> None:
    with Connection(site.nginx["streaming"]) as connection:
        connection.request("GET", "/items?gate=items").head()
        assert connection.chunk() == b"one,"
        fetch(site.plain, "/open?gate=items")
        assert connection.chunk() == b"two"


# spec: protocols 10
@pytest.mark.parametrize("front", ["plain", "streaming"])
def test_the_client_leaves(site: Site, front: str) -> None:
    with Connection(site.nginx[front]) as connection:
        connection.request("GET", f"/flood?note=down-{front}").head()
        connection.reset()
        assert fetch(site.plain, f"/event?of=down-{front}").text == "gone"


# spec: protocols 10
def test_the_clients_own_address(site: Site) -> None:
    seen = json.loads(fetch(site.nginx["trusting"], "/x").body)
    assert (seen["client"], seen["scheme"]) == ([CLIENT, 0], "http")
    forged = json.loads(fetch(site.nginx["trusting"], "/x", x_forwarded_for="203.0.113.9").body)
    assert forged["client"] == [CLIENT, 0]
    assert site.trusting.stdout.wait_for(rf'{CLIENT}(:0)? "GET /x HTTP/1\.1" 200 ')
    assert json.loads(fetch(site.nginx["plain"], "/x").body)["client"][0] == "127.0.0.1"
