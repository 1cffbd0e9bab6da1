"""Mail for handlers of aiosmtpd's kind: the real binary, smtplib, swaks and Postfix's smtp-source."""

import ast
import mailbox
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from harness import Server, StartServer, alive, eventually, family

HERE = Path(__file__).parent
NAMES = ("Plain", "Hooks", "Knows", "Each", "debugging", "sink", "asgi")
OPTIONS = ("--smtp-hostname", "mx.example.org", "--smtp-max-size", "2MiB", "--smtp-auth-plaintext")
TEXT = "Subject: hello\r\n\r\n.a dot\r\nthe end\r\n"


def bind(*names: str, scheme: str = "smtp") -> list[str]:
    return [option for name in names for option in ("--bind", f"{scheme}://127.0.0.1:0=mail_handlers:{name}")]


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    server = start_server("", HERE, *bind(*NAMES), *OPTIONS)
    for name in NAMES:
        server.port(f"mail_handlers:{name}")  # before its output is cleared
    return server


def connect(server: Server, name: str) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", server.port(f"mail_handlers:{name}"), "client.example.org", timeout=20)
    client.ehlo()
    return client


def raw(server: Server, name: str) -> tuple[socket.socket, Any]:
    client = socket.create_connection(("127.0.0.1", server.port(f"mail_handlers:{name}")), timeout=20)
    return client, client.makefile("rb")


def shown(server: Server, word: str) -> dict[str, Any]:
    found = ast.literal_eval(server.wait_for(rf"^{word} (\{{.*\}})")[1])
    assert isinstance(found, dict)
    return found


# spec: jobs 3
def test_a_message_and_all_that_is_known_of_it(server: Server) -> None:
    server.stderr.clear()
    with connect(server, "Plain") as client:
        assert client.sendmail("a@example.org", ["b@example.com", "c@example.com"], TEXT) == {}
        peer = client.sock.getsockname()
        assert client.docmd("NOOP") == (250, b"OK")
    content = TEXT.encode()
    assert shown(server, "mail") == {
        "peer": peer, "ssl": None, "host_name": "client.example.org", "extended_smtp": True, "authenticated": None,
        "mail_from": "a@example.org", "mail_options": [f"SIZE={len(content)}"], "smtp_utf8": False, "content": content,
        "original_content": content, "rcpt_tos": ["b@example.com", "c@example.com"], "rcpt_options": [],
    }  # fmt: skip


def test_the_null_path_is_what_it_is_in_aiosmtpd(server: Server) -> None:
    server.stderr.clear()
    with connect(server, "Plain") as client:
        assert client.sendmail("", "postmaster", "bounced") == {}
    assert (found := shown(server, "mail"))["mail_from"] == "<>"
    assert found["rcpt_tos"] == ["postmaster"]


def test_a_long_session_with_large_messages(server: Server) -> None:
    with connect(server, "sink") as client:
        for size in (0, 1, 1000, 65_000, 66_000, 2_000_000):
            assert client.sendmail("a@x", "b@y", ("x" * 98 + "\r\n") * (size // 100)) == {}
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail("a@x", "b@y", "x\r\n" * 1_000_000)
        assert refused.value.smtp_code == 552
        assert client.sendmail("a@x", "b@y", "on\r\n") == {}


# spec: jobs 3
def test_every_hook(server: Server) -> None:
    server.stderr.clear()
    with connect(server, "Hooks") as client:
        assert client.docmd("HELO", "me") == (250, b"mx.example.org helo me")
        code, lines = client.ehlo()
        assert code == 250
        assert lines.split(b"\n") == [
            b"mx.example.org", b"SIZE 2097152", b"8BITMIME", b"SMTPUTF8", b"PIPELINING", b"CHUNKING", b"BINARYMIME", b"DSN",
            b"AUTH PLAIN LOGIN", b"X-HOOKED", b"HELP",
        ]  # fmt: skip
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("joe", "guess")
        assert client.login("joe", "secret") == (235, b"2.7.0 Authentication successful")
        assert client.mail("nobody@example.org") == (553, b"not you")
        assert client.mail("a@example.org", ["size=5"]) == (250, b"OK")
        assert client.rcpt("b@example.net") == (550, b"not relaying to that domain")
        assert client.rcpt("b@example.com") == (250, b"OK")
        assert client.rset() == (250, b"all forgotten")
        assert client.docmd("NOOP", "x") == (250, b"'x'")
        assert client.docmd("NOOP", "raise") == (542, b"KeyError")
        assert client.verify("joe") == (252, b"perhaps joe")
        client.mail("a@example.org")
        client.rcpt("c@example.com")
        assert client.data("hi\r\n") == (250, b"first\nsecond")
        assert client.docmd("QUIT") == (221, b"until then")
    line = server.wait_for("^hooks .*")[0]
    assert "'rcpt_tos': ['c@example.com']" in line
    assert "'authenticated': True" in line
    assert line.endswith("LoginPassword(login=b'joe', password=...)")


def test_a_hook_knows_what_came_before_it(server: Server) -> None:
    with connect(server, "Knows") as client:
        assert client.vrfy("x") == (250, b"None []")
        client.mail("a@x")
        client.rcpt("b@y")
        client.rcpt("c@y")
        assert client.vrfy("x") == (250, b"a@x ['b@y', 'c@y']")
        client.rset()
        assert client.vrfy("x") == (250, b"None []")


@pytest.mark.parametrize(
    ("content", "reply", "said"),
    [
        ("raise", b"500 Error: (ValueError) as it should", "exception in mail handler"),
        (
            "nonsense",
            b"451 4.3.0 Error: the server could not answer",
            "the reply of a mail application is no reply",
        ),
        ("number", b"451 4.3.0 the handler gave no reply", "a mail hook must return a reply as str, not int"),
    ],
)
def test_handlers_that_fail(server: Server, content: str, reply: bytes, said: str) -> None:
    with connect(server, "Plain") as client:
        client.mail("a@x")
        client.rcpt("b@y")
        code, text = client.data(content)
        assert b"%d %s" % (code, text) == reply
        assert client.sendmail("a@x", "b@y", "again") == {}
    server.wait_for(said)


# spec: jobs 3
def test_pipelined_chunks_and_what_is_smuggled(server: Server) -> None:
    client, replies = raw(server, "Plain")
    with client, replies:
        server.stderr.clear()
        begin = b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n"
        client.sendall(b"EHLO c\r\n" + begin + b"DATA\r\nx\r\n.\r\n" + begin + b"BDAT 3\r\na\r\nBDAT 3 LAST\r\n\nb\nNOOP\r\n")
        lines = [replies.readline() for _ in range(19)]
        assert [line[:3] for line in lines] == [b"220", *[b"250"] * 11, b"354", *[b"250"] * 4, b"550", b"250"], lines
        client.sendall(begin + b"DATA\r\na\n.\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nb\r\n.\r\nQUIT\r\n")
        rest = replies.read().splitlines()
        assert rest[-1] == b"221 Bye"
        assert [line[:3] for line in rest if line[:3] == b"550"] == [b"550"]
    assert "evil@x" not in server.output()


def test_a_client_that_says_all_at_once_and_no_more(server: Server) -> None:
    client, replies = raw(server, "Plain")
    with client, replies:
        client.sendall(b"EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nx\r\n.\r\nNOOP\r\nMAIL FROM:<a@x>\r\n")
        client.shutdown(socket.SHUT_WR)
        assert replies.read().splitlines()[-3:] == [b"250 Message accepted for delivery", b"250 OK", b"250 OK"]


def test_the_proxy_protocol_and_unix_sockets(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("", HERE, *bind("Plain"), "--proxy-protocol", *OPTIONS)
    client, replies = raw(server, "Plain")
    with client, replies:
        client.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 5555 25\r\n")
        assert replies.readline() == b"220 mx.example.org awaitd\r\n"
        client.sendall(b"HELO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n.\r\nQUIT\r\n")
        assert replies.read().endswith(b"221 Bye\r\n")
    assert shown(server, "mail")["peer"] == ("192.0.2.7", 5555)
    path = tmp_path / "lmtp.sock"
    start_server("", HERE, "--bind", f"lmtp://unix:{path}=mail_handlers:Each")
    with smtplib.LMTP(str(path)) as local:
        assert local.sendmail("a@x", "yes@y", "hi") == {}


def test_lmtp_has_a_reply_for_each_recipient(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("Each", "Plain", scheme="lmtp"), *OPTIONS)
    with smtplib.LMTP("127.0.0.1", server.port("mail_handlers:Each"), timeout=20) as client:
        client.ehlo_or_helo_if_needed()
        assert client.docmd("EHLO", "x")[0] == 500
        client.mail("a@x")
        for name in ("yes@y", "no@y", "yes2@y"):
            assert client.rcpt(name) == (250, b"OK")
        assert client.docmd("DATA")[0] == 354
        client.send(b"hi\r\n.\r\n")
        assert [client.getreply() for _ in range(3)] == [(250, b"yes@y"), (550, b"no@y"), (250, b"yes2@y")]


# spec: jobs 3
def test_aiosmtpds_own_handlers(start_server: StartServer, server: Server, tmp_path: Path) -> None:
    env = {"MAILBOX": str(tmp_path / "box"), "PROXY_TO": str(server.port("mail_handlers:debugging"))}
    other = start_server("", HERE, *bind("mailbox", "proxy"), *OPTIONS, **env)
    message = EmailMessage()
    message["Subject"] = "over there"
    message["From"], message["To"] = "a@example.org", "b@example.com"
    message.set_content("Grüße\n")
    server.stderr.clear()
    for name in ("mailbox", "proxy"):
        with connect(other, name) as client:
            assert client.send_message(message) == {}
    (stored,) = mailbox.Maildir(tmp_path / "box")
    assert (stored["subject"], stored["X-MailFrom"], stored["X-RcptTo"]) == ("over there", "a@example.org", "b@example.com")
    server.wait_for("^X-Peer: 127.0.0.1")
    server.wait_for("^------------ END MESSAGE ------------")


def test_the_scope_smtp(server: Server) -> None:
    server.stderr.clear()
    with connect(server, "asgi") as client:
        client.mail("a@example.org", ["BODY=8BITMIME"])
        client.rcpt("b@example.com", ["NOTIFY=never"])
        assert client.data("x" * 98 + "\r\n") == (250, b"100 bytes")
        client.mail("a@example.org")
        client.rcpt("b@example.com")
        assert client.data(("y" * 98 + "\r\n") * 10_000) == (250, b"1000000 bytes")
    scope = ast.literal_eval(server.wait_for(r"smtp scope (\{.*\})")[1])
    assert (scope["type"], scope["asgi"]["spec_version"], scope["client"][0]) == ("smtp", "1.0", "127.0.0.1")
    command = ast.literal_eval(server.wait_for(r"^smtp (\{.*'command': 'RCPT'.*\})")[1])
    assert (command["address"], command["options"]) == ("b@example.com", ["NOTIFY=never"])
    envelope = ast.literal_eval(server.wait_for(r"^smtp (\{'type': 'smtp.envelope'.*\})")[1])
    assert envelope["mail"] | {"address": "a@example.org", "options": ["BODY=8BITMIME"]} == envelope["mail"]
    assert envelope["recipients"] == [{"address": "b@example.com", "options": ["NOTIFY=never"]}]


def test_auth_may_be_required_and_is_not_taken_in_the_clear(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("Hooks"), "--smtp-auth", "required")
    with connect(server, "Hooks") as client:
        assert client.docmd("EHLO", "x")[0] == 250
        assert client.mail("a@example.org") == (530, b"5.7.0 Authentication required")
        assert client.docmd("AUTH", "PLAIN AGpvZQBzZWNyZXQ=")[0] == 538


# spec: jobs 3
def test_a_client_may_begin_so_many_messages_in_a_minute(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("Plain"), "--smtp-max-rate", "3")
    for first in (3, 0):  # it is the client that is counted, not the session
        with connect(server, "Plain") as client:
            for _ in range(first):
                assert client.sendmail("a@example.org", "b@example.com", "x") == {}
            assert client.mail("a@example.org") == (451, b"4.7.1 Error: too many messages, come back later")
            assert client.noop()[0] == 250
    server.wait_for("refused: too many messages client=127.0.0.1")


# spec: jobs 3
def test_no_mail_that_was_taken_is_lost_when_workers_are_killed(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("", HERE, *bind("Ledger"), "--workers", "2", *OPTIONS, LEDGER=str(tmp_path))
    stop = threading.Event()

    def send(number: int) -> list[str]:
        taken = []
        for n in range(10_000):
            if stop.is_set():
                break
            try:
                with connect(server, "Ledger") as client:
                    for part in range(5):
                        name = f"{number}-{n}-{part}"
                        client.sendmail("a@x", "b@y", f"name: {name}\r\n")
                        taken.append(name)
            except (smtplib.SMTPException, ConnectionError):
                pass
        return taken

    with ThreadPoolExecutor(4) as threads:
        sending = [threads.submit(send, number) for number in range(4)]
        for _ in range(5):
            before = len(list(tmp_path.iterdir()))
            eventually(lambda before=before: len(list(tmp_path.iterdir())) > before + 20)  # type: ignore[misc]
            worker = family(server.pid)[1]
            os.kill(worker, signal.SIGKILL)
            eventually(lambda old=worker: not alive(old))  # type: ignore[misc]
        stop.set()
        taken = [name for future in sending for name in future.result()]
    assert len(taken) > 100
    assert set(taken) <= {path.name for path in tmp_path.iterdir()}


def test_a_worker_that_dies_takes_no_mail(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("Plain"), *OPTIONS)
    with connect(server, "Plain") as client:
        client.mail("a@x")
        client.rcpt("b@y")
        assert client.data("die")[0] == 421


# spec: jobs 3
def test_a_reload_ends_sessions_between_messages(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("Plain"), *OPTIONS)
    client, idle = connect(server, "Plain"), connect(server, "Plain")
    client.mail("a@x")
    client.rcpt("b@y")
    client.putcmd("DATA")
    assert client.getreply()[0] == 354
    server.process.send_signal(signal.SIGHUP)
    assert idle.getreply()[0] == 421
    client.send(b"whole\r\n.\r\n")
    assert client.getreply() == (250, b"Message accepted for delivery")
    assert client.getreply()[0] == 421
    server.wait_for("reloaded")
    with connect(server, "Plain") as another:
        assert another.sendmail("a@x", "b@y", "new") == {}


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result
    return result.stdout


def needs(name: str) -> Callable[[Any], Any]:
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    assert path or os.environ.get("CI") != "true", f"needs {name} (apt-get install postfix swaks)"
    return pytest.mark.skipif(not path, reason=f"{name} is not installed (Debian: postfix, swaks)")


@needs("swaks")
def test_swaks(server: Server) -> None:
    common = ("swaks", "--server", "127.0.0.1", "--from", "a@example.org", "--to", "b@example.com")
    port = str(server.port("mail_handlers:Hooks"))
    login = ("--auth-user", "joe", "--auth-password", "secret")
    for more in (("--auth", "PLAIN", *login), ("--auth", "LOGIN", *login), ("--pipeline",), ("--helo", "me.example.org")):
        assert "<-  250 second" in run(*common, "--port", port, *more)


@needs("smtp-source")
def test_postfixs_smtp_source(server: Server) -> None:
    path = shutil.which("smtp-source", path=os.environ["PATH"] + ":/usr/sbin")
    assert path
    at = f"127.0.0.1:{server.port('mail_handlers:sink')}"
    run(path, "-s", "10", "-m", "500", "-l", "5000", "-r", "3", at)
    run(path, "-d", "-s", "10", "-m", "500", "-l", "5000", at)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--bind", "smtp://127.0.0.1:0=mail_handlers:show"],
            "`mail_handlers:show` can't take mail: expected a handler with handle_DATA()",
        ),
        (["--bind", "smtps://127.0.0.1:0=mail_handlers:sink"], "can't offer TLS on smtps://"),
        (["--bind", "smtp://127.0.0.1:0"], "no application is named"),
    ],
)
def test_what_can_not_take_mail_is_refused(launch: StartServer, arguments: list[str], message: str) -> None:
    server = launch(*arguments, cwd=HERE)
    assert server.wait() != 0
    assert message in server.output()
