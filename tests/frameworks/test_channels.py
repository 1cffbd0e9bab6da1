"""Django Channels' generic consumers, synchronous and asynchronous."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from harness import Server, serve

APPS = Path(__file__).parent / "apps"


@pytest.fixture(scope="module")
def channels_server(venv: Path, static: Path) -> Iterator[Server]:
    env = {"VIRTUAL_ENV": str(venv), "STATIC": str(static)}
    with serve("channels_consumers:application", APPS, env=env) as server:
        yield server


def opened(server: Server, name: str, *subprotocols: str) -> ClientConnection:
    return connect(f"{server.url.replace('http', 'ws')}/{name}", subprotocols=[Subprotocol(p) for p in subprotocols] or None)


# spec: websocket 10
def test_a_synchronous_consumer_echoes_and_hears_the_end(channels_server: Server) -> None:
    with opened(channels_server, "echo") as socket:
        for message in ("Grüße", b"\x00\xff", "", "x" * 200_000):
            socket.send(message)
            assert socket.recv(15) == message
        socket.close(4321)
    channels_server.wait_for("left: 4321")


# spec: websocket 10
def test_json(channels_server: Server) -> None:
    with opened(channels_server, "sum") as socket:
        socket.send("[1, 2, 39]")
        assert socket.recv(15) == '{"sum": 42}'


# spec: websocket 10
def test_a_group(channels_server: Server) -> None:
    with opened(channels_server, "room") as one, opened(channels_server, "room") as two:
        for said in ('"a"', '{"b": 1}'):
            one.send(said)
            assert (one.recv(15), two.recv(15)) == (said, said)


# spec: websocket 10
def test_a_subprotocol_and_a_close_of_the_application(channels_server: Server) -> None:
    with opened(channels_server, "chosen", "a", "b") as socket:
        assert socket.subprotocol == "b"
        socket.send("go")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(15)
    assert closed.value.rcvd
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as you wish")


# spec: websocket 10
def test_a_consumer_that_refuses(channels_server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(channels_server, "refuses")
    assert refused.value.response.status_code == 403
