"""Mail in TLS, from the start and by STARTTLS: the real binary, smtplib, swaks."""

import shutil
import smtplib
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from harness import Server, StartServer
from tls_certificates import Certificates

HERE = Path(__file__).parent


def bind(scheme: str, name: str) -> tuple[str, str]:
    return "--bind", f"{scheme}://127.0.0.1:0=secure_app:{name}"


@pytest.fixture(scope="module")
def server(start_server: StartServer, certificates: Certificates) -> Server:
    server = start_server("", HERE, *bind("smtp", "Mail"), *certificates.options())
    server.port("secure_app:Mail")
    return server


@pytest.fixture(scope="module")
def secure(start_server: StartServer, certificates: Certificates) -> Server:
    server = start_server("", HERE, *bind("smtps", "Mail"), *certificates.options())
    server.port("secure_app:Mail")
    return server


def connect(server: Server, name: str = "Mail") -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", server.port(f"secure_app:{name}"), "client.example.org", timeout=20)


# spec: jobs 3
def test_starttls(server: Server, certificates: Certificates) -> None:
    with connect(server) as client:
        client.ehlo("before.example.org")
        assert client.has_extn("starttls")
        assert not client.has_extn("auth")
        assert client.docmd("AUTH", "PLAIN AGpvZQBzZWNyZXQ=")[0] == 538
        assert client.mail("before@example.org")[0] == 250
        client._host = "localhost"  # type: ignore[attr-defined]
        assert client.starttls(context=certificates.context())[0] == 220
        assert client.docmd("RCPT", "TO:<b@example.com>")[0] == 503  # the session is at its start again
        client.ehlo("within.example.org")
        assert not client.has_extn("starttls")
        assert client.has_extn("auth")
        assert client.docmd("STARTTLS")[0] == 503
        assert client.login("joe", "secret")[0] == 235
        assert client.sendmail("a@example.org", "b@example.com", "hello") == {}
    server.wait_for("^mail True within.example.org a@example.org True$")


# spec: jobs 3
def test_smtps(secure: Server, certificates: Certificates) -> None:
    with smtplib.SMTP_SSL(
        "localhost", secure.port("secure_app:Mail"), "client.example.org", timeout=20, context=certificates.context()
    ) as client:
        client.ehlo()
        assert not client.has_extn("starttls")
        assert client.login("joe", "secret")[0] == 235
        for _ in range(20):
            assert client.sendmail("a@example.org", "b@example.com", "a line\r\n" * 20_000) == {}
    secure.wait_for("^mail True client.example.org a@example.org True$")


# spec: jobs 3
def test_commands_behind_starttls_are_never_taken_for_what_came_in_tls(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port("secure_app:Mail")), timeout=20) as client:
        client.sendall(b"EHLO a\r\nSTARTTLS\r\nRSET\r\nMAIL FROM:<evil@example.org>\r\n")
        received = b""
        while part := client.recv(1000):
            received += part
    assert received.endswith(b"554 5.5.1 Error: commands sent behind STARTTLS\r\n")


def test_a_client_that_goes_on_without_tls(server: Server) -> None:
    with (
        socket.create_connection(("127.0.0.1", server.port("secure_app:Mail")), timeout=20) as client,
        client.makefile("rb") as lines,
    ):
        client.sendall(b"EHLO a\r\nSTARTTLS\r\n")
        while not lines.readline().startswith(b"220 Ready"):
            pass
        client.sendall(b"MAIL FROM:<a@example.org>\r\n")
        assert b"250" not in lines.read()


def test_tls_may_be_required(start_server: StartServer, certificates: Certificates) -> None:
    server = start_server("", HERE, *bind("smtp", "Mail"), *certificates.options(), "--smtp-tls", "required")
    with connect(server) as client:
        client.ehlo()
        assert client.mail("a@example.org")[0] == 530
        client._host = "localhost"  # type: ignore[attr-defined]
        client.starttls(context=certificates.context())
        assert client.sendmail("a@example.org", "b@example.com", "hello") == {}


# spec: jobs 3
def test_the_hook_of_starttls_may_want_no_more(start_server: StartServer, certificates: Certificates) -> None:
    options = ("--ssl-ca-certs", str(certificates.ca), "--ssl-cert-reqs", "optional")
    server = start_server("", HERE, *bind("smtp", "Hooked"), *certificates.options(), *options)
    with connect(server, "Hooked") as client:
        client.ehlo()
        client.mail("before@example.org")
        client._host = "localhost"  # type: ignore[attr-defined]
        client.starttls(context=certificates.context(certificates.client))
        assert client.sendmail("a@example.org", "b@example.com", "hello") == {}
    server.wait_for("^begun 772 None None$")
    with connect(server, "Hooked") as client:
        client.ehlo()
        client._host = "localhost"  # type: ignore[attr-defined]
        client.starttls(context=certificates.context())
        with pytest.raises(smtplib.SMTPException):  # 421, at the next command or the one behind it
            client.sendmail("a@example.org", "b@example.com", "hello")


def test_there_is_no_starttls_without_a_certificate(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("smtp", "Mail"))
    with connect(server) as client:
        client.ehlo()
        assert not client.has_extn("starttls")
        assert client.docmd("STARTTLS")[0] == 454


# spec: jobs 3
@pytest.mark.parametrize(("fixture", "way"), [("server", "--tls"), ("secure", "--tls-on-connect")])
def test_swaks(request: pytest.FixtureRequest, certificates: Certificates, fixture: str, way: str) -> None:
    if not shutil.which("swaks"):
        pytest.skip("needs the package swaks (apt-get install swaks)")
    server = request.getfixturevalue(fixture)
    result = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{server.port('secure_app:Mail')}", "--from", "a@example.org", "--to", "b@example.com",
         way, "--tls-ca-path", str(certificates.ca), "--tls-verify", "--auth", "LOGIN", "-au", "joe", "-ap", "secret"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_old_version_is_refused(secure: Server, certificates: Certificates) -> None:
    context = certificates.context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        smtplib.SMTP_SSL("127.0.0.1", secure.port("secure_app:Mail"), timeout=20, context=context)
