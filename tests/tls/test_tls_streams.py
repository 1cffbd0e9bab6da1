"""TLS for handlers of asyncio's streams, from the start and by start_tls(): the real binary, Python's ssl, openssl."""

import ast
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from harness import Server, StartServer
from tls_certificates import Certificates

HERE = Path(__file__).parent


def bind(scheme: str, *names: str) -> list[str]:
    return [option for name in names for option in ("--bind", f"{scheme}://127.0.0.1:0=secure_app:{name}")]


@pytest.fixture(scope="module")
def server(start_server: StartServer, certificates: Certificates) -> Server:
    return start_server("", HERE, *bind("tls", "echo", "pushes", "asgi"), *bind("tcp", "says"), *certificates.options())


@pytest.fixture(scope="module")
def plain(start_server: StartServer, certificates: Certificates) -> Server:
    return start_server("", HERE, *bind("tcp", "echo"), *certificates.options())


def connect(server: Server, name: str, context: ssl.SSLContext | None = None) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port(f"secure_app:{name}")), timeout=20)
    return context.wrap_socket(client, server_hostname="localhost") if context else client


def receive_line(client: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        part = client.recv(1)
        assert part, f"the end after {line!r}"
        line += part
    return line


def ask(client: socket.socket, line: bytes) -> bytes:
    client.sendall(line)
    return receive_line(client)


# spec: jobs 1
def test_a_handler_serves_tls(server: Server, certificates: Certificates) -> None:
    with connect(server, "echo", certificates.context()) as client:
        assert isinstance(client, ssl.SSLSocket)
        assert ask(client, b"hello\n") == b"hello\n"
        assert ast.literal_eval(ask(client, b"cipher\n").decode()) == client.cipher()
        assert ast.literal_eval(ask(client, b"names\n").decode()) == (client.getsockname(), client.getpeername())
        told = ast.literal_eval(ask(client, b"tls\n").decode())
        assert (told["tls_version"], told["client_cert_name"], told["client_cert_chain"]) == (0x0304, None, [])


def test_both_sides_say_goodbye(server: Server, certificates: Certificates) -> None:
    with connect(server, "pushes", certificates.context()) as client:
        assert isinstance(client, ssl.SSLSocket)
        client.sendall(b"5\n")
        assert client.recv(100) == bytes(5)
        assert client.unwrap().recv(100) == b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_much_goes_both_ways(server: Server, certificates: Certificates, version: ssl.TLSVersion) -> None:
    context = certificates.context()
    context.maximum_version = version
    with connect(server, "pushes", context) as client:
        for size in (1, 16_384, 16_385, 3_000_000):
            client.sendall(b"%d\n" % size)
            left = size
            while left:
                left -= len(client.recv(left))
    line = bytes(range(65, 91)) * 1000 + b"\n"
    with connect(server, "echo", context) as client:
        sender = threading.Thread(target=lambda: [client.sendall(line) for _ in range(40)])
        sender.start()
        for _ in range(40):
            received = b""
            while len(received) < len(line):
                received += client.recv(len(line) - len(received))
            assert received == line
        sender.join()


def test_an_asgi_application_is_told(server: Server, certificates: Certificates) -> None:
    with connect(server, "asgi", certificates.context()) as client:
        extensions = ast.literal_eval(client.recv(10_000).decode())
        assert extensions["tls"]["tls_version"] == 0x0304


def test_openssl_with_new_keys_in_between(server: Server, certificates: Certificates) -> None:
    command = [
        "openssl",
        "s_client",
        "-connect",
        f"127.0.0.1:{server.port('secure_app:echo')}",
        "-CAfile",
        str(certificates.ca),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        assert client.stdin
        assert client.stdout

        def say(text: bytes, until: bytes) -> None:
            assert client.stdin
            assert client.stdout
            client.stdin.write(text)
            client.stdin.flush()
            for line in client.stdout:
                if line.strip() == until:
                    return
            raise AssertionError(f"{until!r} did not come")

        say(b"before\n", b"before")
        say(b"K\n", b"KEYUPDATE")  # ours change, and so must the server's
        say(b"behind\n", b"behind")
        say(b"k\n", b"KEYUPDATE")
        say(b"at last\n", b"at last")
        client.stdin.write(b"Q\n")
        client.stdin.close()
        client.stdout.read()
        assert client.wait(20) == 0


@pytest.mark.parametrize(
    "hello", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01\xff\xff", b"\x80\x2e\x01\x00\x02"]
)
def test_what_is_no_handshake_ends_and_is_counted(server: Server, hello: bytes) -> None:
    with connect(server, "echo") as client:
        client.sendall(hello)
        client.shutdown(socket.SHUT_WR)
        while client.recv(100):
            pass


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_old_version_is_refused(server: Server, certificates: Certificates) -> None:
    context = certificates.context()
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol version"):
        connect(server, "echo", context)
    server.wait_for("refused: TLS handshake failed")


def test_a_slow_handshake_ends(start_server: StartServer, certificates: Certificates) -> None:
    server = start_server("", HERE, *bind("tls", "echo"), *certificates.options(), "--timeout-header", "500ms")
    with connect(server, "echo") as silent, connect(server, "echo") as slow:
        slow.sendall(b"\x16\x03\x01\x02\x00\x01")
        for client in (silent, slow):
            assert client.recv(100) == b""
    server.wait_for("the TLS handshake took too long")


# spec: jobs 1
def test_start_tls(plain: Server, certificates: Certificates) -> None:
    client = connect(plain, "echo")
    assert ask(client, b"tls\n") == b"None\n"
    assert ask(client, b"starttls\n") == b"go on\n"
    with certificates.context().wrap_socket(client, server_hostname="localhost") as secure:
        assert ask(secure, b"hello\n") == b"hello\n"
        assert ast.literal_eval(ask(secure, b"cipher\n").decode()) == secure.cipher()
        assert ask(secure, b"starttls\n") == b"go on\n"
        assert receive_line(secure) == b"the connection is in TLS already\n"
        assert ask(secure, b"still here\n") == b"still here\n"


class ByHand:
    """A client whose records are sent and received by hand."""

    def __init__(self, client: socket.socket, certificates: Certificates) -> None:
        self.client = client
        self.inner, self.outer = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = certificates.context().wrap_bio(self.inner, self.outer, server_hostname="localhost")

    def hello(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outer.read()

    def shake_hands(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                self.client.sendall(self.outer.read())
                self.inner.write(self.client.recv(10_000))

    def ask(self, line: bytes) -> bytes:
        self.tls.write(line)
        self.client.sendall(self.outer.read())
        while True:
            try:
                return self.tls.read(1000)
            except ssl.SSLWantReadError:
                self.inner.write(self.client.recv(10_000))


def test_start_tls_with_a_client_that_does_not_wait(plain: Server, certificates: Certificates) -> None:
    """It says hello before it has read the answer: it may be with the worker already."""
    for _ in range(50):
        with connect(plain, "echo") as client:
            secure = ByHand(client, certificates)
            client.sendall(b"starttls\n" + secure.hello())
            assert receive_line(client) == b"go on\n"
            secure.shake_hands()
            assert secure.ask(b"hello\n") == b"hello\n"


def test_nothing_that_came_before_tls_is_taken_for_something_in_it(plain: Server, certificates: Certificates) -> None:
    plain.port("secure_app:echo")
    plain.stderr.clear()
    client = connect(plain, "echo")
    client.sendall(b"starttls\nsmuggled\n")
    assert receive_line(client) == b"go on\n"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        certificates.context().wrap_socket(client, server_hostname="localhost")
    client.close()
    plain.wait_for("TLS handshake failed")


def test_start_tls_with_a_client_that_leaves(server: Server) -> None:
    server.port("secure_app:says")
    server.stderr.clear()
    client = connect(server, "says")
    assert receive_line(client) == b"go on\n"
    client.close()
    server.wait_for("no TLS: Connection lost")


def test_start_tls_without_a_certificate(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("tcp", "echo"))
    with connect(server, "echo") as client:
        assert ask(client, b"starttls\n") == b"go on\n"
        assert receive_line(client) == b"there is no certificate: name one with --ssl-certfile\n"
        assert ask(client, b"go on\n") == b"go on\n"


# spec: jobs 1
def test_the_proxy_protocol_comes_before_tls(start_server: StartServer, certificates: Certificates) -> None:
    server = start_server("", HERE, *bind("tls", "echo"), *certificates.options(), "--proxy-protocol")
    client = connect(server, "echo")
    client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n")
    with certificates.context().wrap_socket(client, server_hostname="localhost") as wrapped:
        assert ask(wrapped, b"names\n") == b"(('192.0.2.1', 1000), ('192.0.2.2', 443))\n"
    with connect(server, "echo") as client:
        secure = ByHand(client, certificates)
        client.sendall(b"PROXY UNKNOWN\r\n" + secure.hello())  # both in one packet
        secure.shake_hands()
        assert secure.ask(b"hello\n") == b"hello\n"


# spec: jobs 1
def test_a_client_that_shows_a_certificate(start_server: StartServer, certificates: Certificates) -> None:
    options = ("--ssl-ca-certs", str(certificates.ca), "--ssl-cert-reqs", "required")
    server = start_server("", HERE, *bind("tls", "echo"), *certificates.options(), *options)
    with connect(server, "echo", certificates.context(certificates.client)) as client:
        told = ast.literal_eval(ask(client, b"tls\n").decode())
        assert "CN=ann@example.org" in told["client_cert_name"]
        assert told["client_cert_chain"][0] == ssl.DER_cert_to_PEM_cert(
            ssl.PEM_cert_to_DER_cert(certificates.client.read_text().partition("-----END")[2].partition("\n")[2])
        )
    with pytest.raises((ssl.SSLError, ConnectionError)), connect(server, "echo", certificates.context()) as client:
        ask(client, b"anybody\n")  # TLS 1.3: refused behind the handshake


# spec: jobs 1
def test_a_reload_leaves_connections_in_tls_alone(start_server: StartServer, certificates: Certificates) -> None:
    server = start_server("", HERE, *bind("tls", "echo"), *certificates.options())
    with connect(server, "echo", certificates.context()) as client:
        assert ask(client, b"before\n") == b"before\n"
        server.process.send_signal(signal.SIGHUP)
        while True:  # until nothing has moved for a second
            try:
                assert ask(client, b"during\n") == b"during\n"
            except AssertionError:
                break
            if server.stderr.wait_for("reloaded", 0.1):
                break
        assert receive_line(client) == b"the end\n"
        assert client.recv(100) == b""


def test_an_aborted_connection_is_no_good_end(server: Server, certificates: Certificates) -> None:
    with connect(server, "echo") as client:
        secure = ByHand(client, certificates)
        secure.shake_hands()
        with pytest.raises(ConnectionResetError):
            secure.ask(b"abort\n")
