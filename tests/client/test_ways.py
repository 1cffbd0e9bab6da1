"""Ways to an origin: TLS, proxies, unix sockets, local addresses."""

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from origin import HANDLERS, Connection, Origin, serve


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    folder = tmp_path_factory.mktemp("authority")
    made = trustme.CA()
    made.cert_pem.write_to_path(str(folder / "ca.pem"))
    made.issue_cert("me@example.org").private_key_and_cert_chain_pem.write_to_path(str(folder / "me.pem"))
    return made, folder


@pytest.fixture(scope="module")
def secure(authority: tuple[trustme.CA, Path]) -> Iterator[Origin]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_OPTIONAL
    authority[0].configure_trust(context)
    authority[0].issue_cert("localhost").configure_cert(context)
    who = {"/who": lambda c: c.answer(str(c.sock.getpeercert().get("subjectAltName") if c.sock.getpeercert() else "").encode())}
    with serve({**HANDLERS, **who}, context) as made:
        yield made


def test_certificates(
    client_of: Any, secure: Origin, authority: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, ca = secure.url + "/hello", str(authority[1] / "ca.pem")
    with pytest.raises(httpx.ConnectError, match="certificate"):
        client_of().get(url)
    context = ssl.create_default_context(cafile=ca)
    for verify in (ca, context, False):
        assert client_of({"verify": verify}).get(url).text == "hello"
    elsewhere = url.replace("localhost", "127.0.0.1")
    with pytest.raises(httpx.ConnectError, match="certificate"):
        client_of({"verify": ca}).get(elsewhere)
    context.check_hostname = False
    assert client_of({"verify": context}).get(elsewhere).text == "hello"
    monkeypatch.setenv("SSL_CERT_FILE", ca)
    assert client_of().get(url).text == "hello"
    with pytest.raises(httpx.ConnectError):
        client_of({"trust_env": False}).get(url)


def test_a_certificate_of_the_client(client_of: Any, secure: Origin, authority: tuple[trustme.CA, Path]) -> None:
    ca, me = str(authority[1] / "ca.pem"), str(authority[1] / "me.pem")
    assert "me@example.org" in client_of({"verify": ca, "cert": me}).get(secure.url + "/who").text
    assert client_of({"verify": ca}).get(secure.url + "/who").text == ""


def test_tls_that_is_none(client_of: Any, origin: Origin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].sendall(b"220 mail ESMTP\r\n"), daemon=True).start()
        client = client_of({"verify": False})
        with pytest.raises(httpx.ConnectError, match=r"(?i)tls"):
            client.get(f"https://127.0.0.1:{listener.getsockname()[1]}/")
    with pytest.raises(httpx.ConnectTimeout):
        client_of({"verify": False}, timeout=0.3).get(origin.url.replace("http:", "https:") + "/hello")


def relay(a: socket.socket, b: socket.socket) -> None:
    def one_way(source: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)

    threading.Thread(target=one_way, args=(a, b), daemon=True).start()
    one_way(b, a)


class Proxy:
    """A proxy by HTTP, and what it was told."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.words: list[bytes | None] = []

    def __getitem__(self, path: str) -> Any:
        return self.handle

    def handle(self, c: Connection) -> None:
        self.lines.append(c.line)
        self.words.append(c.headers.get(b"proxy-authorization"))
        method, target, _ = c.line.split()
        if b"refuse" in target:
            c.answer(b"no", "407 Proxy Authentication Required")
        elif method == b"CONNECT":
            host, port = target.decode().rsplit(":", 1)
            with socket.create_connection((host, int(port))) as there:
                c.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                relay(c.sock, there)
            raise OSError
        else:
            c.answer(b"by proxy")


@pytest.fixture
def proxy() -> Iterator[tuple[Proxy, Origin]]:
    made = Proxy()
    with serve(made) as origin:  # type: ignore[arg-type]
        yield made, origin


def test_http_proxies(client_of: Any, secure: Origin, authority: tuple[trustme.CA, Path], proxy: tuple[Proxy, Origin]) -> None:
    seen, at = proxy
    ca = str(authority[1] / "ca.pem")
    word = b"Basic " + base64.b64encode(b"ann:secret-word")
    client = client_of({"verify": ca, "proxy": httpx.Proxy(at.url, auth=("ann", "secret-word"))})
    assert client.get(secure.url + "/hello").text == "hello"
    assert seen.lines == [f"CONNECT localhost:{secure.port} HTTP/1.1".encode()]
    assert seen.words == [word]
    assert client.get("http://example.org/a?b").text == "by proxy"
    assert seen.lines[1] == b"GET http://example.org/a?b HTTP/1.1"
    assert seen.words[1] == word
    with pytest.raises(httpx.ProxyError, match="407") as raised:
        client.get("https://refuse.example.org/")
    assert "secret-word" not in repr(raised.value)


def test_proxies_of_the_environment(
    client_of: Any, origin: Origin, proxy: tuple[Proxy, Origin], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy[1].url)
    monkeypatch.setenv("no_proxy", "localhost")
    assert client_of().get("http://example.org/").text == "by proxy"
    assert client_of({"trust_env": False}).get(origin.url + "/hello").text == "hello"
    assert client_of().get(origin.url + "/hello").text == "hello"


def socks(c: socket.socket, asked: list[bytes]) -> None:
    """A SOCKS5 proxy that wants a password (RFC 1928, RFC 1929)."""
    _, n = c.recv(2)
    c.recv(n)
    c.sendall(b"\5\2")
    _, n = c.recv(2)
    user = c.recv(n)
    password = c.recv(c.recv(1)[0])
    c.sendall(b"\1\0" if (user, password) == (b"ann", b"secret-word") else b"\1\1")
    kind = c.recv(4)[3]
    asked.append(c.recv(c.recv(1)[0]) if kind == 3 else c.recv(4 if kind == 1 else 16))
    port = int.from_bytes(c.recv(2), "big")
    with socket.create_connection(("localhost", port)) as there:
        c.sendall(b"\5\0\0\1\0\0\0\0\0\0")
        relay(c, there)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_proxies(client_of: Any, origin: Origin, scheme: str) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def quiet(sock: socket.socket) -> None:
            with contextlib.suppress(Exception):  # of a client that has gone
                socks(sock, asked)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    threading.Thread(target=quiet, args=(sock,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        at = f"127.0.0.1:{listener.getsockname()[1]}"
        client = client_of({"proxy": f"{scheme}://ann:secret-word@{at}"})
        assert client.get(origin.url + "/hello").text == "hello"
        assert asked == [b"localhost"]
        with pytest.raises(httpx.ProxyError) as raised:
            client_of({"proxy": f"{scheme}://ann:other-word@{at}"}).get(origin.url + "/hello")
        assert "other-word" not in repr(raised.value)


def test_a_unix_socket(client_of: Any, origin: Origin, tmp_path: Path) -> None:
    path = str(tmp_path / "origin")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    threading.Thread(target=origin._serve, args=(sock,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        assert client_of({"uds": path}).get("http://anything/hello").text == "hello"


def test_a_local_address(client_of: Any, origin: Origin) -> None:
    peers: list[str] = []
    with serve({"/": lambda c: (peers.append(c.sock.getpeername()[0]), c.answer())[1]}) as mine:
        assert client_of({"local_address": "127.0.0.7"}).get(f"http://127.0.0.1:{mine.port}/").text == "hello"
    assert peers == ["127.0.0.7"]


def test_connections_are_tried_again(client_of: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    started = threading.Event()

    def late() -> None:
        started.wait()
        listener = socket.create_server(("127.0.0.1", port))
        sock, _ = listener.accept()
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        listener.close()

    threading.Thread(target=late, daemon=True).start()
    client = client_of({"retries": 4})
    started.set()
    assert client.get(f"http://127.0.0.1:{port}/").status_code == 204
