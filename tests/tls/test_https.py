"""HTTPS: the real binary, Python's own client and sockets, httpx, websockets."""

import ast
import hashlib
import http.client
import os
import re
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from harness import Server, StartServer
from tls_certificates import Certificates
from websockets.sync.client import connect as connect_websocket

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server(start_server: StartServer, certificates: Certificates) -> Server:
    return start_server("secure_app:app", HERE, "--bind", "127.0.0.1:0", *certificates.options())


def port(server: Server) -> int:
    return server.port("secure_app:app")


def connect(server: Server, certificates: Certificates) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("localhost", port(server), timeout=20, context=certificates.context())


def get(client: http.client.HTTPSConnection, path: str) -> bytes:
    client.request("GET", path)
    response = client.getresponse()
    assert response.status == 200
    return response.read()


def test_requests_on_one_connection(server: Server, certificates: Certificates) -> None:
    client = connect(server, certificates)
    scheme, peer, tls = ast.literal_eval(get(client, "/scope").decode())
    assert scheme == "https"
    assert peer == client.sock.getsockname()
    assert tls["tls_version"] == 0x0304
    assert tls.keys() == {
        "server_cert",
        "client_cert_chain",
        "client_cert_name",
        "client_cert_error",
        "tls_version",
        "cipher_suite",
    }
    mine = client.sock
    for _ in range(50):
        get(client, "/scope")
    assert client.sock is mine
    client.close()
    context = certificates.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port(server)), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as agreed,
    ):
        assert agreed.selected_alpn_protocol() == "http/1.1"


def test_large_bodies_both_ways(server: Server, certificates: Certificates, tmp_path: Path) -> None:
    content = os.urandom(5_000_000)
    (tmp_path / "file").write_bytes(content)
    client = connect(server, certificates)
    assert get(client, f"/file?{tmp_path / 'file'}") == content
    assert get(client, f"/large?{tmp_path / 'file'}") == content
    client.request("POST", "/upload", content)
    assert client.getresponse().read().decode() == hashlib.sha256(content).hexdigest()
    client.close()


def test_a_slow_client_gets_all_of_a_file(server: Server, certificates: Certificates, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(content)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(20)
    raw.connect(("127.0.0.1", port(server)))
    with certificates.context().wrap_socket(raw, server_hostname="localhost") as client:
        client.sendall(f"GET /file?{tmp_path / 'file'} HTTP/1.0\r\n\r\n".encode())
        received = b""
        while part := client.recv(1000):
            received += part
    assert received.partition(b"\r\n\r\n")[2] == content


def test_many_clients(server: Server, certificates: Certificates) -> None:
    def fetch() -> None:
        with httpx.Client(verify=certificates.context()) as client:
            for _ in range(20):
                assert client.get(f"https://localhost:{port(server)}/scope").status_code == 200

    threads = [threading.Thread(target=fetch) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_websockets(server: Server, certificates: Certificates) -> None:
    with connect_websocket(f"wss://localhost:{port(server)}/", ssl=certificates.context()) as client:
        assert str(client.recv()).startswith("wss ['awaitd.")
        for size in (1, 1000, 200_000):
            client.send("x" * size)
            assert client.recv() == "x" * size


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n\r\n"])
def test_http_without_tls_is_told_so(server: Server, request_line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port(server)), timeout=20) as client:
        client.sendall(request_line)
        received = b""
        while part := client.recv(1000):
            received += part
    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert received.endswith(b"HTTP without TLS came to a port for HTTPS\n")


def test_wsgi_is_told(start_server: StartServer, certificates: Certificates) -> None:
    options = (*certificates.options(), "--ssl-ca-certs", str(certificates.ca), "--ssl-cert-reqs", "optional")
    server = start_server("secure_app:wsgi", HERE, "--bind", "https://127.0.0.1:0", *options)
    url = f"https://localhost:{server.port('secure_app:wsgi')}/"
    told = httpx.get(url, verify=certificates.context()).text
    assert told == "('https', 'on', 'TLSv1.3', 'localhost', 'NONE', None)"
    *_, verified, name = ast.literal_eval(httpx.get(url, verify=certificates.context(certificates.client)).text)
    assert verified == "SUCCESS"
    assert "CN=ann@example.org" in name


def test_an_address_may_say_that_it_is_without(start_server: StartServer, certificates: Certificates) -> None:
    server = start_server("secure_app:app", HERE, "--bind", "http://127.0.0.1:0", *certificates.options())
    assert httpx.get(f"http://127.0.0.1:{port(server)}/scope").text.startswith("('http', ")


def test_the_certificate_that_has_the_name_is_shown(start_server: StartServer, certificates: Certificates) -> None:
    other = certificates.issue("other.example")
    options = (*certificates.options(), "--ssl-certfile", str(other))
    server = start_server("secure_app:app", HERE, "--bind", "127.0.0.1:0", *options)
    for name, shown in {"localhost": "localhost", "other.example": "other.example", "third.example": "localhost"}.items():
        context = certificates.context()
        context.check_hostname = False
        with (
            socket.create_connection(("127.0.0.1", port(server)), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname=name) as client,
        ):
            certificate = client.getpeercert()
            assert certificate
            assert ("DNS", shown) in certificate["subjectAltName"]


def test_a_renewed_certificate_is_shown_without_a_lost_connection(
    start_server: StartServer, make_certificates: Callable[[], Certificates]
) -> None:
    certificates = make_certificates()
    server = start_server("secure_app:app", HERE, "--bind", "127.0.0.1:0", *certificates.options())

    def serial() -> str:
        with (
            socket.create_connection(("127.0.0.1", port(server)), timeout=20) as raw,
            certificates.context().wrap_socket(raw, server_hostname="localhost") as client,
        ):
            certificate = client.getpeercert()
            assert certificate
            return str(certificate["serialNumber"])

    kept = connect(server, certificates)
    get(kept, "/scope")
    before = serial()
    certificates.localhost.write_text("half a file")
    while not server.stderr.wait_for("what their files have now can't be used.*no certificate", 0.1):
        assert serial() == before
    certificates.issue("localhost", "127.0.0.1")
    while serial() == before:
        pass  # at most a second
    server.wait_for("TLS certificates were read again")
    get(kept, "/scope")
    kept.close()


def test_a_session_is_resumed(server: Server, certificates: Certificates) -> None:
    context = certificates.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    session = None
    for resumed in (False, True):
        with (
            socket.create_connection(("127.0.0.1", port(server)), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname="localhost", session=session) as client,
        ):
            assert client.session_reused is resumed
            session = client.session


def test_a_client_that_shows_a_certificate(start_server: StartServer, certificates: Certificates) -> None:
    options = ("--ssl-ca-certs", str(certificates.ca), "--ssl-cert-reqs", "1")
    server = start_server("secure_app:app", HERE, "--bind", "127.0.0.1:0", *certificates.options(), *options)
    for client, name in {None: None, certificates.client: "ann@example.org"}.items():
        shown = httpx.get(f"https://localhost:{port(server)}/scope", verify=certificates.context(client)).text
        told = ast.literal_eval(shown)[2]
        assert (name or "") in (told["client_cert_name"] or "")
        assert bool(told["client_cert_chain"]) is bool(client)


def test_a_reload_under_load_loses_no_request(start_server: StartServer, certificates: Certificates) -> None:
    server = start_server("secure_app:app", HERE, "--bind", "127.0.0.1:0", *certificates.options())
    stop, counts, url = threading.Event(), [], f"https://localhost:{port(server)}/scope"

    def fetch() -> None:
        n = 0
        with httpx.Client(verify=certificates.context()) as client:
            while not stop.is_set():
                assert client.get(url).status_code == 200
                n += 1
        counts.append(n)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        server.stderr.clear()
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("reloaded")
    stop.set()
    for thread in threads:
        thread.join()
    assert len(counts) == 4
    assert min(counts) > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--bind", "https://:0"], "can't offer TLS on https://:0 without a certificate"),
        (["--bind", "tls://:0=secure_app:echo"], "can't offer TLS on tls://:0=secure_app:echo without a certificate"),
        (
            ["--ssl-certfile", "{cert}", "--ssl-certfile", "{cert}", "--ssl-keyfile", "{cert}"],
            "can't pair 2 certificates with 1 private key",
        ),
        (["--ssl-certfile", "{cert}", "--ssl-cert-reqs", "required"], "`--ssl-cert-reqs required` without `--ssl-ca-certs`"),
        (["--ssl-certfile", "/nowhere.pem"], "can't use `/nowhere.pem`: no such file or directory"),
        (["--ssl-certfile", "{cert}", "--ssl-keyfile", "{other}"], "it is not the private key of the certificate in"),
        (["--ssl-certfile", "{cert}", "--ssl-ca-certs", "{empty}"], "no certificate (PEM) is in it"),
        (["--ssl-keyfile", "{cert}"], "can't pair 0 certificates with 1 private key"),
    ],
)
def test_what_is_wrong_is_said_at_once(
    launch: StartServer, certificates: Certificates, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "empty.pem").write_text("")
    names = {"cert": certificates.localhost, "other": certificates.client, "empty": tmp_path / "empty.pem"}
    options = [argument.format(**names) for argument in arguments]
    server = launch("secure_app:app", "--app-dir", str(HERE), *options)
    assert server.process.wait(20) == 2
    server.wait_for(re.escape(says))
