"""WebSockets through nginx, as docs/guides/behind-nginx.md has it."""

import json
import re
from pathlib import Path

import pytest
from websockets.sync.client import connect

from harness import ROOT, Server, StartServer
from nginx import Nginx, StartNginx, upstream
from rawhttp import fetch

HERE = Path(__file__).parent
PAGE = (ROOT / "docs" / "guides" / "behind-nginx.md").read_text()
SECTION = PAGE.partition("### WebSocket\n")[2].partition("\n## ")[0]


@pytest.fixture(scope="module")
def behind(start_server: StartServer) -> Server:
    return start_server("app:app", HERE, "--forwarded-allow-ips", "127.0.0.1", "--ws-ping-interval", "0.5")


@pytest.fixture(scope="module")
def nginx(behind: Server, start_nginx: StartNginx) -> Nginx:
    at_the_top, in_the_location = re.findall(r"```nginx\n(.*?)```", SECTION, re.S)
    site = f"""
        location / {{
            proxy_pass http://site;
            proxy_http_version 1.1;
            proxy_read_timeout 2s;
            {in_the_location}
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto https;
        }}
    """
    return start_nginx({"site": site}, f"{at_the_top}\nupstream site {{ server {upstream(behind.url)}; keepalive 4; }}")


def url(nginx: Nginx) -> str:
    host, port = nginx["site"].connect().getpeername()
    return f"ws://{host}:{port}"


# spec: websocket 10
def test_messages(nginx: Nginx) -> None:
    with connect(f"{url(nginx)}/echo", max_size=None) as client:
        for message in ("hello", b"\0" * 1_000_000, "ü" * 100_000):
            client.send(message)
            assert client.recv() == message
    assert fetch(nginx["site"], "/hello").text == "hello"


def test_the_scheme_is_the_clients(nginx: Nginx) -> None:
    with connect(f"{url(nginx)}/scope", origin="https://example.org") as client:
        found = json.loads(client.recv())
    assert found["scheme"] == "wss"
    assert dict(found["headers"])["origin"] == "https://example.org"


def test_pings_keep_the_proxy_from_giving_up(nginx: Nginx) -> None:
    with connect(f"{url(nginx)}/echo", ping_interval=None) as client:
        with pytest.raises(TimeoutError):
            client.recv(timeout=3)  # longer than proxy_read_timeout
        client.send("still here")
        assert client.recv() == "still here"
