"""Datagrams for a DatagramProtocol: the real binary, real sockets."""

import ast
import os
import random
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import Server, StartServer, eventually, family

HERE = Path(__file__).parent


def bind(*names: str, host: str = "127.0.0.1") -> list[str]:
    return [option for name in names for option in ("--bind", f"udp://{host}:0=handlers:{name}")]


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server("", HERE, *bind("Datagrams", "udp"))


def connect(server: Server, name: str = "Datagrams", host: str = "127.0.0.1") -> socket.socket:
    client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    client.connect((host, server.port(f"handlers:{name}")))
    return client


def ask(client: socket.socket, data: bytes) -> bytes:
    client.send(data)
    return client.recv(1 << 16)


# spec: jobs 2
@pytest.mark.parametrize("name", ["Datagrams", "udp"])
def test_datagrams_of_every_length_are_echoed(server: Server, name: str) -> None:
    with connect(server, name) as client, connect(server, name) as other:
        for length in (0, 1, 7, 8, 512, 1472, 9000, 65_000, 65_484, 65_507):
            data = random.Random(length).randbytes(length) if name == "Datagrams" else b"A" * length
            assert ask(client, data) == data
            assert ask(other, b"OTHER") == b"OTHER"


# spec: jobs 2
def test_order_of_one_peer_stays(server: Server) -> None:
    with connect(server) as client:
        for start in range(0, 2000, 50):
            for n in range(start, start + 50):
                client.send(b"%d" % n)
            assert [client.recv(100) for _ in range(50)] == [b"%d" % n for n in range(start, start + 50)]
        client.send(b"many 300")  # rows of one length leave as one for the kernel
        assert [client.recv(100) for _ in range(300)] == [b"%05d" % n for n in range(300)]


def test_many_peers_at_once(server: Server) -> None:
    def talk(number: int) -> None:
        with connect(server) as client:
            for n in range(100):
                data = b"%d %d " % (number, n) + b"x" * (n * 131 % 1400)
                assert ask(client, data) == data

    with ThreadPoolExecutor(16) as threads:
        assert len(list(threads.map(talk, range(16)))) == 16


def test_names_and_what_is_sent_later(server: Server) -> None:
    with connect(server) as client:
        peer, own = ast.literal_eval(ask(client, b"names").decode())
        assert (peer, own) == (client.getsockname(), client.getpeername())
        assert ask(client, b"later") == b"late"


def test_ipv6_and_every_interface(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("Datagrams", host=""))
    with connect(server, host="::1") as client, connect(server) as other:
        assert ast.literal_eval(ask(client, b"names").decode())[0] == client.getsockname()
        assert ast.literal_eval(ask(other, b"names").decode())[0] == other.getsockname()


def test_errors_come_to_the_protocol_or_to_the_caller(server: Server) -> None:
    with connect(server) as client:
        assert ask(client, b"nowhere") in (b"PermissionError 13", b"OSError 101")  # EACCES, ENETUNREACH
        assert ask(client, b"long") == b"OSError 90"  # EMSGSIZE
        assert ask(client, b"wrong") == b"ValueError OverflowError TypeError ValueError"


def test_an_exception_is_logged_and_the_socket_goes_on(server: Server) -> None:
    with connect(server) as client:
        client.send(b"raises")
        assert ask(client, b"after") == b"after"
    server.wait_for(r"exception in UDP protocol \[id [0-9a-f]{16}\]")
    server.wait_for("RuntimeError: as it should")


# spec: jobs 2
def test_what_nobody_has_room_for_is_dropped_and_counted(launch: StartServer) -> None:
    server = launch(*bind("Datagrams"), cwd=HERE)
    with connect(server) as client, connect(server) as other:
        worker = int(ask(client, b"pid"))
        os.kill(worker, signal.SIGSTOP)
        try:
            while not server.stderr.wait_for(r"refused: datagram dropped client=127\.0\.0\.1:\d+", 0.001):
                other.send(bytes(8000))
        finally:
            os.kill(worker, signal.SIGCONT)
        answered = 0
        other.settimeout(0.5)
        while True:
            try:
                answered += len(other.recv(9000)) == 8000
            except TimeoutError:
                break
        assert answered == 32  # as many as its window has room for
        assert ask(client, b"and on") == b"and on"
    assert server.stop() == 0
    assert re.search(r"refused in this run: .*\d+ datagram dropped", server.output())


def test_a_protocol_that_sends_too_much_is_asked_to_pause(server: Server) -> None:
    with connect(server) as client:
        client.send(b"flood")
        server.wait_for("^paused$")
        server.wait_for("^resumed$")
        server.wait_for("^waiting: True$")
        client.send(b"still there")
        while client.recv(9000) != b"still there":
            pass


def test_asgi_scope_messages_and_ends(launch: StartServer) -> None:
    server = launch("handlers:udp", "--bind", "udp://127.0.0.1:0", "--lifespan", "off", cwd=HERE)
    port = int(server.wait_for(r"ready on udp://127\.0\.0\.1:(\d+)")[1])
    scope = ast.literal_eval(server.wait_for(r"udp scope (\{.*\})")[1])
    assert scope == {
        "type": "udp", "asgi": {"version": "3.0", "spec_version": "1.0"}, "client": None, "server": ("127.0.0.1", port),
        "extensions": {},
    }  # fmt: skip
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.connect(("127.0.0.1", port))
        assert ask(client, b"abc") == b"ABC"
        server.stderr.clear()
        client.send(b"raises")
        server.wait_for("exception in UDP protocol")
        server.wait_for("udp scope")  # it is called again
        assert ask(client, b"again") == b"AGAIN"
    assert server.stop() == 0
    assert "udp end {'type': 'udp.disconnect'} {'type': 'udp.disconnect'}" in server.output()


# spec: jobs 2
def test_peers_keep_their_worker_and_a_reload_loses_none(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("Datagrams"), "--workers", "2")
    clients = [connect(server) for _ in range(32)]
    pids = [ask(client, b"pid") for client in clients]
    assert len(set(pids)) == 2
    assert [ask(client, b"pid") for client in clients] == pids
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("reloaded")
    new = [ask(client, b"pid") for client in clients]
    assert len(set(new)) == 2
    assert not set(new) & set(pids)
    eventually(lambda: server.output().count("datagrams lost: None, True") == 2)
    os.kill(int(new[0]), signal.SIGKILL)
    stays = next(n for n, pid in enumerate(new) if pid != new[0])
    assert ask(clients[stays], b"pid") == new[stays]
    server.wait_for("a worker ended and is replaced")
    for client in clients:
        client.settimeout(0.2)
    for client in clients:
        while True:  # until it has a worker again
            try:
                assert ask(client, b"pid") not in pids
                break
            except TimeoutError:
                pass
        client.close()


def test_close_ends_the_protocols_part_alone(launch: StartServer) -> None:
    server = launch(*bind("Datagrams", "udp"), cwd=HERE)
    with connect(server) as client, connect(server, "udp") as other:
        client.send(b"close")
        server.wait_for("datagrams lost: None, True")
        client.send(b"nobody is there")
        assert ask(other, b"still") == b"STILL"
    pids = family(server.pid)
    assert server.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_an_inherited_socket(launch: StartServer) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as passed:
        passed.bind(("127.0.0.1", 0))
        fd = passed.fileno()
        server = launch("--bind", f"udp://fd://{fd}=handlers:Datagrams", cwd=HERE, pass_fds=[fd])
        with connect(server) as client:
            assert ask(client, b"hello") == b"hello"
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--bind", "udp://127.0.0.1:0=handlers:echo"],
            "`handlers:echo` can't take udp datagrams: expected a DatagramProtocol",
        ),
        (["--bind", "udp://unix:/x=handlers:Datagrams"], "must be host:port or fd://N after udp://"),
        (["--bind", "udp://127.0.0.1:0"], "no application is named"),
    ],
)
def test_what_can_not_take_datagrams_is_refused(launch: StartServer, arguments: list[str], message: str) -> None:
    server = launch(*arguments, cwd=HERE)
    assert server.wait() != 0
    assert message in server.output()
