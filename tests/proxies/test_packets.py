"""What speaks uwsgi or SCGI badly, by raw sockets: it is refused, said so once, and nobody else notices."""

import random
import socket
import struct
from pathlib import Path

import pytest

from harness import Server, StartServer, descriptors, eventually
from rawhttp import fetch

HERE = Path(__file__).parent
Variables = dict[str, bytes | str]

USUAL: Variables = {"CONTENT_LENGTH": "", "SCGI": "1", "REQUEST_METHOD": "GET", "PATH_INFO": "/hello"}


def rows(variables: Variables) -> list[tuple[bytes, bytes]]:
    def plain(text: bytes | str) -> bytes:
        return text if isinstance(text, bytes) else text.encode("latin-1")

    return [(plain(name), plain(value)) for name, value in variables.items()]


def uwsgi(more: Variables | None = None, modifier: int = 0) -> bytes:
    packed = b"".join(
        struct.pack("<H", len(name)) + name + struct.pack("<H", len(value)) + value
        for name, value in rows(USUAL | (more or {}))
    )
    return struct.pack("<BHB", modifier, len(packed), 0) + packed


def scgi(more: Variables | None = None) -> bytes:
    packed = b"".join(name + b"\0" + value + b"\0" for name, value in rows(USUAL | (more or {})))
    return b"%d:%b," % (len(packed), packed)


class Peer:
    """A connection to one of the server's addresses, as a web server has it."""

    def __init__(self, url: str) -> None:
        host, _, port = url.rpartition("//")[2].partition(":")
        self.socket = socket.create_connection((host, int(port)), 10)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> "Peer":
        self.socket.sendall(data)
        return self

    def rest(self) -> bytes:
        """Everything up to the end of the connection; a reset ends it as well."""
        received = b""
        try:
            while data := self.socket.recv(65536):
                received += data
        except ConnectionResetError:
            pass
        return received


@pytest.fixture(params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest, start_server: StartServer) -> Server:
    """One for each test: a line in the log speaks for all of its kind within ten seconds."""
    return start_server(
        *(f"{request.param}:app", HERE, "--bind", "127.0.0.1:0", "--bind", "uwsgi://127.0.0.1:0"),
        *("--bind", "scgi://127.0.0.1:0", "--timeout-header", "0.5", "--timeout-body", "0.5"),
    )


def address(server: Server, protocol: str) -> str:
    return server.wait_for(rf"ready on ({protocol}://127\.0\.0\.1:\d+):")[1]


def goes_on(server: Server) -> None:
    """Every address of the server answers."""
    assert fetch(server, "/hello").status == 200
    with Peer(address(server, "uwsgi")) as peer:
        assert peer.send(uwsgi()).rest().endswith(b"\r\n\r\nHello, world!")
    with Peer(address(server, "scgi")) as peer:
        assert peer.send(scgi()).rest().startswith(b"status: 200 OK\r\n")


# spec: protocols 10
@pytest.mark.parametrize(
    ("protocol", "packet", "reason"),
    [
        ("uwsgi", b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", "not a uwsgi packet"),
        ("uwsgi", uwsgi(modifier=5), "not a uwsgi packet"),
        ("uwsgi", b"\0\4\0\0\xff\xffab", "a variable reaches beyond"),
        ("uwsgi", b"\0\3\0\0\1\0a", "a variable reaches beyond"),
        ("uwsgi", b"\0\6\0\0\1\0a\2\0b", "a variable reaches beyond"),
        ("scgi", b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", "not a netstring"),
        ("scgi", b"3:a\0b;", "not a netstring"),
        ("scgi", b"3:a\0b,", "not pairs that end with NUL"),
        ("scgi", scgi().replace(b"SCGI\x001", b"SCGI\x002"), "SCGI to be 1"),
    ],
    ids=range(9),
)
def test_what_is_no_packet_is_cut_off(server: Server, protocol: str, packet: bytes, reason: str) -> None:
    for _ in range(5):
        with Peer(address(server, protocol)) as peer:
            assert peer.send(packet).rest() == b""
    server.wait_for(rf'refused: malformed request reason="[^"]*{reason}[^"]*" client=127\.0\.0\.1:\d+$')
    goes_on(server)
    assert server.stderr.text().count("refused: ") == 1


# spec: protocols 10
@pytest.mark.parametrize(
    ("more", "status", "reason"),
    [
        ({"HTTP_X": b"a\0b"}, 400, "control character in a header field value"),
        ({"HTTP_X": "a\r\nX-Injected: b"}, 400, "control character in a header field value"),
        ({"HTTP_X Y": "a"}, 400, "invalid header field name"),
        ({"CONTENT_TYPE": "a\nb"}, 400, "control character in a header field value"),
        ({"X": b"a\0b"}, 400, "a variable without a name, or with a NUL"),
        ({"REQUEST_METHOD": "GET\r\n"}, 400, "invalid character in the method"),
        ({"REQUEST_METHOD": ""}, 400, "REQUEST_METHOD is missing"),
        ({"CONTENT_LENGTH": "-1"}, 400, "invalid Content-Length"),
        ({"CONTENT_LENGTH": "99999999999999999999"}, 400, "invalid Content-Length"),
        ({"REMOTE_PORT": "99999"}, 400, "REMOTE_PORT or SERVER_PORT is not a port"),
        ({"SCRIPT_NAME": "app"}, 400, "SCRIPT_NAME does not begin with a slash"),
        ({"QUERY_STRING": "q" * 9000}, 414, "request line too long"),
        ({"HTTP_X": "x" * 9000}, 431, "header field too large"),
        ({f"HTTP_X{n}": "x" for n in range(101)}, 431, "too many header fields"),
        ({f"VARIABLE_{n}": "x" * 8000 for n in range(8)}, 431, "request head too large"),
    ],
    ids=range(15),
)
def test_a_bad_request_in_a_packet_is_answered(server: Server, more: Variables, status: int, reason: str) -> None:
    with Peer(address(server, "uwsgi")) as peer:
        answer = peer.send(uwsgi(more)).rest()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.endswith(f"\r\n\r\n{reason}\n".encode())
    server.wait_for(rf'refused: [\w ]+ status={status} reason="?{reason}"?')
    goes_on(server)


# spec: protocols 10
def test_sizes_around_the_limit(server: Server) -> None:
    """Whatever the packet, it is answered: with 431 if it, or the frame that it would become, is too large."""
    statuses = []
    for size in range(58_000, 62_000, 500):
        more: Variables = {"PATH_INFO": "/hello", "QUERY_STRING": "q" * 2000, "REQUEST_URI": "/hello?" + "q" * 2000, "LONG": ""}
        more["LONG"] = "x" * (size - len(uwsgi(more)))
        with Peer(address(server, "uwsgi")) as peer:
            statuses.append(int(peer.send(uwsgi(more)).rest().split()[1]))
    assert sorted(statuses) == statuses
    assert {200, 431} == set(statuses)
    goes_on(server)


# spec: protocols 10
def test_a_connection_that_says_nothing_or_stops(server: Server) -> None:
    for protocol, packet in (("uwsgi", uwsgi()), ("scgi", scgi())):
        with Peer(address(server, protocol)) as peer:
            assert peer.rest() == b""
        for cut in (1, 3, 5, len(packet) - 1):
            with Peer(address(server, protocol)) as peer:
                assert b"408" in peer.send(packet[:cut]).rest().split(b"\r\n")[0]
        with Peer(address(server, protocol)) as peer:
            peer.send(packet[: len(packet) // 2])
            peer.socket.shutdown(socket.SHUT_WR)
            assert peer.rest() == b""
    goes_on(server)


# spec: protocols 10
def test_a_body_that_stops(server: Server) -> None:
    more: Variables = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "10", "PATH_INFO": "/digest"}
    for protocol, packet in (("uwsgi", uwsgi(more)), ("scgi", scgi(more))):
        with Peer(address(server, protocol)) as peer:
            assert b"408" in peer.send(packet + b"01234").rest().split(b"\r\n")[0]
        with Peer(address(server, protocol)) as peer:  # what is behind the body is nobody's
            answer = peer.send(packet + b"0123456789GET /hello HTTP/1.1\r\n\r\n").rest()
            assert b"200" in answer.split(b"\r\n")[0]
            assert b"\r\n\r\n10 " in answer
    goes_on(server)


# spec: protocols 10
def test_a_packet_byte_by_byte(server: Server) -> None:
    more: Variables = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "5", "PATH_INFO": "/digest", "HTTP_HOST": "test"}
    for protocol, packet in (("uwsgi", uwsgi(more)), ("scgi", scgi(more))):
        with Peer(address(server, protocol)) as peer:
            peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in packet + b"hello":
                peer.send(bytes([byte]))
            assert b"\r\n\r\n5 " in peer.rest()


# spec: protocols 10
def test_random_bytes(server: Server) -> None:
    rng, before = random.Random(20261123), descriptors(server.pid)
    for protocol, good in (("uwsgi", uwsgi()), ("scgi", scgi())):
        for n in range(300):
            packet = bytearray(good if n % 2 else rng.randbytes(rng.randrange(1, 300)))
            for _ in range(rng.randrange(1, 4)):
                packet[rng.randrange(len(packet))] = rng.randrange(256)
            with Peer(address(server, protocol)) as peer:
                try:
                    peer.send(bytes(packet))
                    peer.socket.shutdown(socket.SHUT_WR)  # no wait for a packet that claims to be longer
                except OSError:
                    continue  # cut off already
                assert peer.rest().count(b"\r\n\r\n") <= 1
    goes_on(server)
    eventually(lambda: descriptors(server.pid) <= before)


# spec: protocols 10
def test_an_address_that_others_reach_is_warned_of(start_server: StartServer, tmp_path: Path) -> None:
    warning = r"warn.*whoever reaches this address is believed.*address=0\.0\.0\.0:(\d+)$"
    server = start_server(
        *("asgi:app", HERE, "--bind", "127.0.0.1:0", "--bind", "uwsgi://0.0.0.0:0", "--bind", "scgi://[::1]:0"),
        *("--bind", f"uwsgi://unix:{tmp_path}/u", "--bind", "uwsgi://127.0.0.1:0"),
    )
    found = server.wait_for(warning)
    server.wait_for(f"ready on uwsgi://127.0.0.1:{found[1]}:")
    server.wait_for(f"ready on uwsgi://unix:{tmp_path}/u:")
    assert server.stderr.text().count("is believed") == 1


# spec: protocols 10
def test_an_inherited_socket(launch: StartServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        server = launch("asgi:app", "--app-dir", str(HERE), "--bind", f"uwsgi://fd://{fd}", pass_fds=[fd])
        server.wait_for(f"ready on uwsgi://127.0.0.1:{port}:")
    with Peer(f"uwsgi://127.0.0.1:{port}") as peer:
        assert peer.send(uwsgi()).rest().endswith(b"\r\n\r\nHello, world!")
    assert server.stop() == 0


# spec: protocols 10
def test_who_the_client_is_is_the_web_servers_word_alone(start_server: StartServer) -> None:
    server = start_server(
        "asgi:app", HERE, "--bind", "127.0.0.1:0", "--bind", "uwsgi://127.0.0.1:0", "--forwarded-allow-ips", "*"
    )
    more: Variables = {
        "PATH_INFO": "/seen",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "4711",
        "HTTP_X_FORWARDED_FOR": "203.0.113.9",
    }
    with Peer(address(server, "uwsgi")) as peer:
        assert b'"client": ["192.0.2.7", 4711]' in peer.send(uwsgi(more)).rest()
    more |= {"HTTP_X_FORWARDED_PROTO": "https", "REMOTE_ADDR": "unix:", "REMOTE_PORT": ""}
    with Peer(address(server, "uwsgi")) as peer:
        answer = peer.send(uwsgi(more)).rest()
    assert b'"client": null' in answer
    assert b'"scheme": "http"' in answer
