"""HTTP/1.1 by hand: what goes over the socket is what the test wrote, and what comes back is read as strictly as it is sent."""

import re
import socket
import struct
from dataclasses import dataclass, field

from harness import Server

Fields = list[tuple[str, str]]

_STATUS_LINE = re.compile(r"HTTP/1\.1 (\d{3}) ([^\r\n]*)")


@dataclass
class Response:
    """A response: its head, and the body without its framing."""

    status: int
    reason: str
    fields: Fields
    head: bytes
    body: bytes = b""
    trailers: Fields = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        """The value of a field that must be there once."""
        values = self.values(name)
        assert len(values) == 1, f"{name}: {values} in {self.head!r}"
        return values[0]

    def __contains__(self, name: str) -> bool:
        return bool(self.values(name))

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode()


class Connection:
    """One connection to the server. Every wait ends with a TimeoutError after `timeout` seconds."""

    def __init__(self, server: Server, timeout: float = 10) -> None:
        self.socket = server.connect(timeout)
        self._received = b""

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes | str) -> "Connection":
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        return self

    def request(self, method: str, target: str, body: bytes = b"", **fields: str) -> "Connection":
        """Sends a request; a field's underscores become hyphens."""
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        if body or method in ("POST", "PUT"):
            given.setdefault("content-length", str(len(body)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in ({"host": "test"} | given).items())
        return self.send(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)

    def get(self, target: str, **fields: str) -> Response:
        return self.request("GET", target, **fields).response()

    def rest_or_response(self) -> Response:
        """The next response; if the server breaks it off, what there was of it."""
        response = self.head()
        try:
            if "content-length" in response:
                response.body = self.read(int(response["content-length"]))
            else:
                response.body = self.rest()
        except (EOFError, ConnectionResetError):
            pass
        return response

    def head(self) -> Response:
        """The next head, its body still to be read: an interim response, or one that streams."""
        while b"\r\n\r\n" not in self._received:
            self._more()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        found = _STATUS_LINE.fullmatch(first)
        assert found, f"no status line: {first!r}"
        return Response(int(found[1]), found[2], [_field(line) for line in lines], head)

    def response(self, to: str = "GET") -> Response:
        """The next response, whole, with the framing that RFC 9112 §6.3 gives it."""
        response = self.head()
        if to == "HEAD" or response.status < 200 or response.status in (204, 304):
            return response
        if "transfer-encoding" in response:
            assert response["transfer-encoding"] == "chunked"
            assert "content-length" not in response, response.head
            while chunk := self.chunk():
                response.body += chunk
            response.trailers = self._trailers()
        elif "content-length" in response:
            response.body = self.read(int(response["content-length"]))
        else:
            response.body = self.rest()
        return response

    def chunk(self) -> bytes:
        """The next chunk of a body; the last is empty."""
        data = self.read(int(self.line(), 16))
        if data:
            assert self.read(2) == b"\r\n"
        return data

    def _trailers(self) -> Fields:
        trailers = []
        while line := self.line():
            trailers.append(_field(line))
        return trailers

    def line(self) -> str:
        while b"\r\n" not in self._received:
            self._more()
        line, _, self._received = self._received.partition(b"\r\n")
        return line.decode("latin-1")

    def read(self, n: int) -> bytes:
        """Exactly n bytes."""
        parts = [self._received[:n]]
        self._received = self._received[n:]
        missing = n - len(parts[0])
        while missing:
            data = self.socket.recv(min(missing, 1 << 20))
            if not data:
                raise EOFError(f"the connection ended {missing} bytes early, after {b''.join(parts)[-200:]!r}")
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def skip(self, n: int) -> int:
        """Reads n bytes, or up to the end, and keeps nothing; how many there were."""
        skipped = min(n, len(self._received))
        self._received = self._received[skipped:]
        buffer = memoryview(bytearray(1 << 20))
        while skipped < n and (read := self.socket.recv_into(buffer[: n - skipped])):
            skipped += read
        return skipped

    def rest(self) -> bytes:
        """Everything until the server ends the connection in good order."""
        parts = [self._received]
        self._received = b""
        while data := self.socket.recv(1 << 20):
            parts.append(data)
        return b"".join(parts)

    def ends(self) -> bool:
        """True when the server ends the connection and sends nothing before."""
        try:
            return self.rest() == b""
        except ConnectionResetError:
            return True

    def finish_sending(self) -> "Connection":
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self) -> None:
        """Closes it with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError(f"the connection ended after {self._received!r}")
        self._received += data


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(": ")
    assert colon, f"no field line: {line!r}"
    return name, value


def fetch(server: Server, target: str, **fields: str) -> Response:
    """One GET on a connection of its own."""
    with Connection(server) as connection:
        return connection.get(target, **fields)
