"""TCP connections for handlers of asyncio's streams: the real binary, real sockets."""

import os
import re
import signal
import socket
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from harness import Server, StartServer, family

HERE = Path(__file__).parent
HANDLERS = ("echo", "pid", "names", "raises", "lost", "floods", "deaf", "opens", "plain", "leaves", "tells", "upload", "aborts")


def bind(*names: str) -> list[str]:
    return [option for name in names for option in ("--bind", f"tcp://127.0.0.1:0=handlers:{name}")]


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    """One for most tests: no connection disturbs another."""
    return start_server("", HERE, *bind(*HANDLERS))


def connect(server: Server, name: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port(f"handlers:{name}")), timeout=20)


def ask(client: socket.socket, line: bytes) -> bytes:
    client.sendall(line)
    return receive_line(client)


def receive_line(client: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        part = client.recv(1)
        assert part, f"the end after {line!r}"
        line += part
    return line


def receive_all(client: socket.socket) -> bytes:
    received = b""
    while part := client.recv(1 << 16):
        received += part
    return received


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


# spec: jobs 1
def test_lines_are_echoed(server: Server) -> None:
    with connect(server, "echo") as client, connect(server, "echo") as other:
        assert ask(client, b"one\n") == b"one\n"
        assert ask(other, b"two\n") == b"two\n"
        client.sendall(b"half")
        assert ask(other, b"three\n") == b"three\n"
        assert ask(client, b" and half\n") == b"half and half\n"
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b""


# spec: jobs 1
def test_many_connections_at_once(server: Server) -> None:
    def lines(number: int) -> None:
        with connect(server, "echo") as client:
            for n in range(50):
                line = b"%d %d " % (number, n) + b"x" * (n * 997 % 60_000) + b"\n"
                client.sendall(line)
                received = b""
                while len(received) < len(line):
                    received += client.recv(1 << 16)
                assert received == line

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lines, range(100)))


# spec: jobs 1
def test_a_handler_knows_both_ends(server: Server) -> None:
    with connect(server, "names") as client:
        assert receive_all(client).decode() == repr((client.getsockname(), client.getpeername()))


# spec: jobs 1
def test_addresses_of_other_families(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    options = ["--bind", "tcp://127.0.0.1:0=handlers:names", "--bind", f"tcp://unix:{path}=handlers:names"]
    start_server("", HERE, *options)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert receive_all(client).decode() == repr(("", str(path)))
    if not socket.has_ipv6:
        return
    server = start_server("", HERE, "--bind", "tcp://127.0.0.1:0=handlers:echo", "--bind", "tcp://[::1]:0=handlers:names")
    with socket.create_connection(("::1", server.port("handlers:names"))) as client:
        assert receive_all(client).decode() == repr((client.getsockname(), client.getpeername()))


# spec: jobs 1
def test_proxies_say_who_the_client_is(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("names"), "--proxy-protocol", "--proxy-allow-from", "127.0.0.1")
    with connect(server, "names") as client:
        client.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 99\r\n")
        assert receive_all(client).decode() == repr((("192.0.2.7", 1234), ("192.0.2.8", 99)))
    with connect(server, "names") as client:
        client.sendall(b"no header at all, and long enough to tell\r\n")
        with pytest.raises(ConnectionResetError):
            receive_all(client)
    server.wait_for("malformed")


# spec: jobs 1
def test_a_handler_that_raises_resets_its_connection(server: Server) -> None:
    with connect(server, "echo") as other, connect(server, "raises") as client:
        assert ask(client, b"line\n") == b"line\n"
        with pytest.raises(ConnectionResetError):
            receive_all(client)
        server.wait_for("RuntimeError: as it should")
        server.wait_for("exception in TCP handler")
        assert ask(other, b"line\n") == b"line\n"


# spec: jobs 1
def test_a_client_that_vanishes(server: Server) -> None:
    client = connect(server, "lost")
    receive_line(client)
    reset(client)
    server.wait_for("lost: Connection lost, ConnectionResetError.*, True, True")
    with connect(server, "echo") as other:
        assert ask(other, b"line\n") == b"line\n"
    assert "nobody wants to read this" not in server.output()


# spec: jobs 1
def test_abort_resets(server: Server) -> None:
    with connect(server, "aborts") as client:
        assert client.recv(10) == b"x" * 10
        client.sendall(b"now\n")
        with pytest.raises(ConnectionResetError):
            receive_all(client)
        server.wait_for("aborted: True, b''")


# spec: jobs 1
def test_a_client_that_does_not_read_stops_its_handler(server: Server) -> None:
    before = server.memory()
    with connect(server, "floods") as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert client.recv(10, socket.MSG_WAITALL) == bytes(10)
        with connect(server, "echo") as other:  # what is in between is full by the time that others are served again and again
            for _ in range(200):
                assert ask(other, b"line\n") == b"line\n"
        reset(client)
    sent = server.wait_for(r"flooded (\d+)")
    assert int(sent[1]) < 20_000_000  # what kernels buffer, and a window
    assert server.memory() - before < 10_000_000


# spec: jobs 1
def test_a_handler_that_does_not_read_stops_its_client(server: Server) -> None:
    before = server.memory()
    with connect(server, "deaf") as client:
        client.setblocking(False)
        sent = 0
        with suppress(BlockingIOError):
            while sent < 100_000_000:
                sent += client.send(bytes(1 << 16))
        assert sent < 100_000_000
        assert server.memory() - before < 10_000_000
        client.setblocking(True)
        with connect(server, "opens") as opener:
            assert receive_all(opener) == b""
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b"%d" % sent


# spec: jobs 1
def test_an_end_goes_one_way(server: Server) -> None:
    with connect(server, "upload") as client:
        client.sendall(bytes(5_000_000))
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b"5000000"


# spec: jobs 1
@pytest.mark.parametrize("name", ["plain"])
def test_a_plain_function_starts_tasks_of_its_own(server: Server, name: str) -> None:
    with connect(server, name) as client:
        assert ask(client, b"one\n") == b"one\n"
        assert ask(client, b"two\n") == b"two\n"
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b""


# spec: jobs 1
def test_a_writer_outlives_its_handler(server: Server) -> None:
    with connect(server, "leaves") as one, connect(server, "leaves") as two, connect(server, "tells") as teller:
        assert receive_line(one) == receive_line(two) == b"kept\n"
        teller.sendall(b"told\n")
        assert receive_all(one) == receive_all(two) == b"told\n"
        assert receive_all(teller) == b""


# spec: jobs 1
def test_connections_are_spread_over_workers(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("pid"), "--workers", "2")
    clients = [connect(server, "pid") for _ in range(20)]
    pids = [int(ask(client, b"who\n").split()[0]) for client in clients]
    assert len(set(pids)) == 2
    assert min(map(pids.count, set(pids))) >= 5

    os.kill(pids[0], signal.SIGKILL)
    for client, pid in zip(clients, pids, strict=True):
        if pid == pids[0]:
            with pytest.raises(ConnectionResetError):
                receive_all(client)
        else:
            assert int(ask(client, b"again\n").split()[0]) == pid
        client.close()
    server.wait_for("worker died")
    with connect(server, "pid") as client:
        assert ask(client, b"who\n").endswith(b"who\n")


# spec: jobs 1
def test_handlers_are_preloaded(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("pid"), "--workers", "2", "--preload")
    with connect(server, "pid") as one, connect(server, "pid") as two:
        assert ask(one, b"who\n").split()[0] != ask(two, b"who\n").split()[0]


# spec: jobs 1
def test_a_reload_ends_connections_when_nothing_moves_on_them(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("pid"), "--workers", "1")
    old = family(server.pid)[1]
    with connect(server, "pid") as idle, connect(server, "pid") as busy:
        assert ask(idle, b"a\n") == ask(busy, b"a\n") == b"%d a\n" % old
        server.process.send_signal(signal.SIGHUP)
        talked = 0
        while not server.stderr.wait_for("reloaded", 0.05) or talked < 20:
            assert ask(busy, b"b\n") == b"%d b\n" % old
            talked += 1
        with connect(server, "pid") as new:
            assert int(ask(new, b"c\n").split()[0]) != old
        assert receive_all(idle) == b""
        assert receive_all(busy) == b""


# spec: jobs 1
def test_a_stop_lets_handlers_end(launch: StartServer) -> None:
    server = launch("--app-dir", str(HERE), *bind("echo"), "--timeout-graceful-shutdown", "10")
    server.wait_ready()
    with connect(server, "echo") as client:
        assert ask(client, b"line\n") == b"line\n"
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("stopping")
        assert ask(client, b"another\n") == b"another\n"
        assert receive_all(client) == b""
    assert server.wait(5) == 0


# spec: jobs 1
def test_a_reload_under_load_loses_no_line(start_server: StartServer) -> None:
    server = start_server("", HERE, *bind("pid"), "--workers", "2")
    stop = threading.Event()

    def talk(number: int) -> set[int]:
        pids = set()
        while not stop.is_set():
            with connect(server, "pid") as client:
                for n in range(20):
                    pid, _, line = ask(client, b"%d\n" % n).partition(b" ")
                    assert line == b"%d\n" % n
                    pids.add(int(pid))
        return pids

    with ThreadPoolExecutor(8) as pool:
        talking = [pool.submit(talk, n) for n in range(8)]
        for _ in range(3):
            server.stderr.clear()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("reloaded")
        stop.set()
        assert len(set().union(*(future.result() for future in talking))) >= 4


# spec: jobs 1
def test_an_asgi_application_takes_connections(start_server: StartServer) -> None:
    server = start_server("handlers:asgi", HERE, "--bind", "127.0.0.1:0", "--bind", "tcp://127.0.0.1:0")
    found = server.wait_for(r"ready on tcp://127\.0\.0\.1:(\d+)")
    address = "127.0.0.1", int(found[1])
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"(b'hello', True)"
        client.sendall(b"eof")
        assert receive_all(client) == b"(b'eof', True)"
        client.shutdown(socket.SHUT_WR)
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(b"close")
        assert receive_all(client) == b"(b'close', True)"
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(b"raise")
        with pytest.raises(ConnectionResetError):
            receive_all(client)
    server.wait_for("TypeError: data of tcp.send must be bytes, not str")
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        told = receive_all(client).decode()
    assert "['asgi', 'client', 'extensions', 'server', 'type']" in told
    assert "{'type': 'tcp.disconnect'}" in told


# spec: jobs 1
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["handlers:wsgi", "--bind", ":0", *bind("echo")],
            "`handlers:echo` needs an event loop, and workers of `handlers:wsgi`",
        ),
        ([*bind("three_too_many")], r"`handlers:three_too_many` can't take tcp connections: expected handle\(reader, writer\)"),
        ([*bind("nothing")], "module `handlers` has no attribute `nothing`"),
        (["handlers:asgi", *bind("echo")], "no address leads to `handlers:asgi`"),
        (["--bind", "tcp://127.0.0.1:0"], "no application is named"),
        (["--bind", "tcp://127.0.0.1:0=handlers.py"], "must be a module, not a file, got `handlers.py`"),
    ],
)
def test_what_can_not_be_is_said(launch: StartServer, arguments: list[str], says: str) -> None:
    server = launch(*arguments, "--app-dir", str(HERE))
    assert server.wait() in (2, 3)
    assert re.search(says, server.output()), server.output()


# spec: jobs 1
def test_netcat(server: Server) -> None:
    """What people try first."""
    nc = next((path for path in ("/bin/nc.openbsd", "/usr/bin/nc.openbsd") if Path(path).exists()), "")
    if not nc:
        missing = "needs the package netcat-openbsd (apt-get install netcat-openbsd)"
        pytest.fail(missing, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(missing)
    command = [nc, "-N", "127.0.0.1", str(server.port("handlers:echo"))]
    result = subprocess.run(command, input=b"one\ntwo", capture_output=True, timeout=20)
    assert result.stdout == b"one\ntwo"
