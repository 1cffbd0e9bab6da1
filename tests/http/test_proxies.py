"""Behind proxies: who the client is by header fields and by the PROXY protocol; the same in scope, environ and access log."""

import json
import socket
import struct
from pathlib import Path

import pytest

from harness import Server, StartServer
from rawhttp import Connection

HERE = Path(__file__).parent


@pytest.fixture(scope="module", params=["corpus:peer", "corpus:wsgi_peer"])
def behind(request: pytest.FixtureRequest, start_server: StartServer) -> Server:
    """A server that trusts loopback and 10.0.0.0/8."""
    return start_server(
        request.param, HERE, "--forwarded-allow-ips", "127.0.0.1,10.0.0.0/8", "--forwarded-allow-ips", "2001:db8::/32"
    )


def peer(server: Server, *fields: str, host: str = "direct.example") -> dict[str, object]:
    lines = "".join(f"{field}\r\n" for field in fields)
    with Connection(server) as connection:
        return json.loads(connection.send(f"GET /peer HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n").response().body)


# spec: http 25
@pytest.mark.parametrize(
    ("fields", "client", "scheme", "host"),
    [
        ([], "127.0.0.1", "http", "direct.example"),
        (["x-forwarded-for: 192.0.2.7"], "192.0.2.7", "http", "direct.example"),
        (["X-Forwarded-For: 203.0.113.9, 192.0.2.7, 10.1.2.3"], "192.0.2.7", "http", "direct.example"),
        (
            ["x-forwarded-for: 203.0.113.9", "x-forwarded-for: 192.0.2.7", "x-forwarded-for: 10.1.2.3"],
            "192.0.2.7",
            "http",
            "direct.example",
        ),
        (["x-forwarded-for: 192.0.2.7:4711"], "192.0.2.7:4711", "http", "direct.example"),
        (["x-forwarded-for: [2001:db9::7]:4711"], "[2001:db9::7]:4711", "http", "direct.example"),
        (["x-forwarded-for: 2001:db9::7, 2001:db8::1"], "2001:db9::7", "http", "direct.example"),
        (["x-forwarded-for: 192.0.2.7, unknown, 10.1.2.3"], "10.1.2.3", "http", "direct.example"),
        (["x-forwarded-for: 10.9.9.9, 10.1.2.3"], "10.9.9.9", "http", "direct.example"),
        (["x-forwarded-proto: https"], "127.0.0.1", "https", "direct.example"),
        (
            ["x-forwarded-for: 192.0.2.7", "x-forwarded-proto: HTTPS", "x-forwarded-host: shop.example:8443"],
            "192.0.2.7",
            "https",
            "shop.example:8443",
        ),
        (["x-forwarded-proto: gopher", "x-forwarded-host: no such host"], "127.0.0.1", "http", "direct.example"),
        (['forwarded: for=192.0.2.60;proto=https;host="shop.example"'], "192.0.2.60", "https", "shop.example"),
        (
            ['Forwarded: for=203.0.113.9, For="[2001:db9::17]:4711";Proto=https, for=10.1.2.3'],
            "[2001:db9::17]:4711",
            "https",
            "direct.example",
        ),
        (["forwarded: for=192.0.2.60;proto=https", "x-forwarded-for: 192.0.2.7"], "192.0.2.7", "http", "direct.example"),
        (["forwarded: for=_hidden;proto=https"], "127.0.0.1", "https", "direct.example"),
    ],
)
def test_a_trusted_proxy_is_believed(behind: Server, fields: list[str], client: str, scheme: str, host: str) -> None:
    seen = peer(behind, *fields)
    expected = client if ":" in client.partition("]")[2] or client.count(":") == 1 else None
    address, port = str(seen["client"]), seen["port"]
    assert (f"{address}:{port}" if ":" not in address else f"[{address}]:{port}") == expected or (
        expected is None and address == client
    )
    assert (seen["scheme"], seen["host"]) == (scheme, host)
    behind.stdout.wait_for(rf'(^|\s)(\[)?{address}(\])?:{port} "GET /peer HTTP/1\.1" 200')


# spec: http 25
@pytest.mark.parametrize(
    "options", [[], ["--forwarded-allow-ips", "10.0.0.0/8"], ["--forwarded-allow-ips", "*", "--no-proxy-headers"]]
)
def test_nobody_else_is(start_server: StartServer, options: list[str]) -> None:
    server = start_server("corpus:peer", HERE, *options)
    spoofed = [
        "x-forwarded-for: 10.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: evil.example",
        "forwarded: for=10.0.0.1;proto=https;host=evil.example",
    ]
    seen = peer(server, *spoofed)
    assert (seen["client"], seen["scheme"], seen["host"]) == ("127.0.0.1", "http", "direct.example")
    if not options:
        server.wait_for("X-Forwarded-For is ignored; to trust this proxy: --forwarded-allow-ips 127.0.0.1")


# spec: http 25
def test_each_request_of_a_connection_has_its_own_client(behind: Server) -> None:
    with Connection(behind) as connection:
        for address in ("192.0.2.1", "192.0.2.2", "127.0.0.1"):
            fields = {"x-forwarded-for": address} if address != "127.0.0.1" else {}
            assert json.loads(connection.get("/peer", **fields).body)["client"] == address


# spec: http 25
def test_peers_of_a_unix_socket(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("corpus:peer", HERE, "--uds", str(tmp_path / "s"), "--forwarded-allow-ips", "unix")
    assert peer(server)["client"] is None
    assert peer(server, "x-forwarded-for: 192.0.2.7", "x-forwarded-proto: https")["client"] == "192.0.2.7"


V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, addresses: bytes) -> bytes:
    return V2 + struct.pack("!BBH", 0x20 | command, family, len(addresses)) + addresses


PROXY = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n", "192.0.2.7", 4711, "198.51.100.1"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "2001:db8::7", 4711, "2001:db8::1"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1", None, "127.0.0.1"),
    (
        v2(1, 0x11, socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 4711, 443)),
        "192.0.2.7",
        4711,
        "198.51.100.1",
    ),
    (
        v2(
            1,
            0x21,
            socket.inet_pton(socket.AF_INET6, "2001:db8::7")
            + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
            + struct.pack("!HH", 4711, 443)
            + b"\x04\0\x03abc",
        ),
        "2001:db8::7",
        4711,
        "2001:db8::1",
    ),
    (v2(0, 0, b""), "127.0.0.1", None, "127.0.0.1"),
]


@pytest.fixture(scope="module")
def proxied(start_server: StartServer) -> Server:
    return start_server("corpus:peer", HERE, "--proxy-protocol", "--timeout-header", "0.3")


# spec: http 25
# spec: protocols 9
@pytest.mark.parametrize(("header", "client", "port", "server"), PROXY)
def test_the_proxy_protocol_names_the_client(
    proxied: Server, header: bytes, client: str, port: int | None, server: str
) -> None:
    request = b"GET /peer HTTP/1.1\r\nhost: test\r\n\r\n"
    pieces = [[header + request], [header, request], [bytes([byte]) for byte in header + request]]
    for parts in pieces:
        with Connection(proxied) as connection:
            for part in parts:
                connection.send(part)
            for _ in range(2):  # the header is the connection's, not the request's
                seen = json.loads(connection.response().body)
                assert (seen["client"], seen["server"]) == (client, server)
                assert port is None or seen["port"] == port
                connection.send(request)


# spec: protocols 9
@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nhost: test\r\n\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443 \r\n",
        b"PROXY TCP4 192.0.2.256 198.51.100.1 4711 443\r\n",
        b"PROXY " + b"A" * 200,
        v2(1, 0x11, b"\0" * 11),
        v2(1, 0x11, b"\0" * 12 + b"\x04\0\x09abc"),
        V2[:11] + b"x",
    ],
    ids=range(7),
)
def test_a_connection_without_a_proper_header_is_closed(proxied: Server, first: bytes) -> None:
    with Connection(proxied) as connection:
        connection.send(first)
        assert connection.ends()
    proxied.wait_for("refused: malformed request reason=")


# spec: protocols 9
def test_a_header_that_does_not_end_is_waited_for_as_long_as_a_head(proxied: Server) -> None:
    with Connection(proxied) as connection:
        connection.send(b"PROXY TCP4 192")
        assert connection.ends()


# spec: protocols 9
def test_from_others_it_is_no_header(start_server: StartServer) -> None:
    server = start_server("corpus:peer", HERE, "--proxy-protocol", "--proxy-allow-from", "10.0.0.0/8")
    with Connection(server) as connection:
        assert connection.send(PROXY[0][0] + b"GET /peer HTTP/1.1\r\nhost: test\r\n\r\n").response().status == 400
    assert peer(server)["client"] == "127.0.0.1"


# spec: http 25
# spec: protocols 9
def test_trust_in_fields_is_about_the_client_that_the_protocol_names(start_server: StartServer) -> None:
    server = start_server("corpus:peer", HERE, "--proxy-protocol", "--forwarded-allow-ips", "192.0.2.7")
    for header, client in ((PROXY[0][0], "203.0.113.5"), (PROXY[1][0], "2001:db8::7")):
        with Connection(server) as connection:
            connection.send(header + b"GET /peer HTTP/1.1\r\nhost: test\r\nx-forwarded-for: 203.0.113.5\r\n\r\n")
            assert json.loads(connection.response().body)["client"] == client
