"""An origin that answers as tests want it to: by the path, or with bytes that are no answer at all."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Handler = Callable[["Connection"], None]


class Connection:
    """A client's connection, after the head of its request has been read."""

    def __init__(self, sock: socket.socket, origin: "Origin") -> None:
        self.sock = sock
        self.origin = origin
        self.rest = b""
        self.line = b""
        self.headers: dict[bytes, bytes] = {}
        self.head = b""

    def read_head(self) -> bool:
        while b"\r\n\r\n" not in self.rest:
            received = self.sock.recv(65536)
            if not received:
                return False
            self.rest += received
        self.head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        self.line, *lines = self.head.split(b"\r\n")
        self.headers = {name.lower(): value.strip() for name, value in (line.split(b":", 1) for line in lines)}
        return True

    @property
    def path(self) -> str:
        return self.line.split()[1].decode().partition("?")[0]

    def read(self, size: int) -> bytes:
        while len(self.rest) < size and (received := self.sock.recv(65536)):
            self.rest += received
        body, self.rest = self.rest[:size], self.rest[size:]
        return body

    def read_line(self) -> bytes:
        while b"\r\n" not in self.rest:
            self.rest += self.sock.recv(65536)
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def body(self) -> bytes:
        """The body of the request."""
        if self.headers.get(b"transfer-encoding") != b"chunked":
            return self.read(int(self.headers.get(b"content-length", b"0")))
        parts = []
        while size := int(self.read_line(), 16):
            parts.append(self.read(size))
            self.read_line()
        self.read_line()
        return b"".join(parts)

    def answer(self, body: bytes = b"hello", status: str = "200 OK", headers: str = "") -> None:
        self.sock.sendall(f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def wait_for_end(self) -> None:
        """Read until the client has gone."""
        self.origin.began.release()
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass
        self.origin.left.release()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class Origin:
    """A server with a thread for each connection."""

    def __init__(self, handlers: dict[str, Handler], context: ssl.SSLContext | None = None) -> None:
        self.handlers = handlers
        self.began = threading.Semaphore(0)
        self.left = threading.Semaphore(0)
        self.connections = 0
        self.open: set[socket.socket] = set()
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://localhost:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        self.open.add(sock)
        with contextlib.suppress(OSError, ValueError):
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
            connection = Connection(sock, self)
            while connection.read_head():
                self.handlers[connection.path](connection)
        self.open.discard(sock)
        with contextlib.suppress(OSError):
            sock.close()

    def close(self) -> None:
        self._listener.close()
        for sock in list(self.open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def raw(answer: bytes, *, hold: bool = False) -> Handler:
    """Answer with these bytes; then close, or wait for the client to do it."""

    def handle(c: Connection) -> None:
        c.sock.sendall(answer)
        if hold:
            c.wait_for_end()
        raise OSError

    return handle


def echo(c: Connection) -> None:
    c.answer(c.body())


def chunked(c: Connection) -> None:
    c.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for part in (b"one ", b"two ", b"three"):
        c.sock.sendall(b"%x\r\n%b\r\n" % (len(part), part))
    c.sock.sendall(b"0\r\nX-Behind: it\r\n\r\n")


def large(c: Connection) -> None:
    c.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
    for _ in range(64):
        c.sock.sendall(bytes(1 << 20))


def heads(c: Connection) -> None:
    c.answer(c.head)


def stall(c: Connection) -> None:
    c.wait_for_end()
    raise OSError


def slow_body(c: Connection) -> None:
    c.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    c.wait_for_end()
    raise OSError


def refuse_body(c: Connection) -> None:
    c.answer(b"too much", "413 Content Too Large", "Connection: close\r\n")
    raise OSError


def reset(c: Connection) -> None:
    c.reset()
    raise OSError


def endless_head(c: Connection) -> None:
    c.sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        c.sock.sendall(b"X-More: " + b"y" * 1000 + b"\r\n")


def interim(c: Connection) -> None:
    c.sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    c.answer()


HANDLERS: dict[str, Handler] = {
    "/hello": lambda c: c.answer(),
    "/empty": lambda c: c.answer(b"", "204 No Content"),
    "/echo": echo,
    "/chunked": chunked,
    "/large": large,
    "/heads": heads,
    "/stall": stall,
    "/slow": slow_body,
    "/413": refuse_body,
    "/interim": interim,
    "/to-the-end": raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
    "/fields": lambda c: c.answer(headers="X-One: 1\r\nx-TWO: 2\r\nX-One: 3\r\n"),
    "/cookie": lambda c: c.answer(headers="Set-Cookie: a=b; Path=/\r\n"),
}

#: What is wrong with an answer, and httpx's exception for it.
BAD: dict[str, tuple[Handler, str]] = {
    "nothing": (raw(b""), "RemoteProtocolError"),
    "reset": (reset, "ReadError"),
    "no-http": (raw(b"SSH-2.0-OpenSSH_9.2\r\n", hold=True), "RemoteProtocolError"),
    "half-a-head": (raw(b"HTTP/1.1 200 OK\r\nContent-Le"), "RemoteProtocolError"),
    "half-a-body": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), "RemoteProtocolError"),
    "bad-status": (raw(b"HTTP/1.1 2x0 OK\r\n\r\n", hold=True), "RemoteProtocolError"),
    "bad-header": (raw(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", hold=True), "RemoteProtocolError"),
    "bad-length": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", hold=True), "RemoteProtocolError"),
    "two-lengths": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", hold=True),
        "RemoteProtocolError",
    ),
    "bad-chunk": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", hold=True), "RemoteProtocolError"),
    "long-chunk": (
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n", hold=True),
        "RemoteProtocolError",
    ),
    "half-a-chunk": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf"), "RemoteProtocolError"),
    "endless-head": (endless_head, "RemoteProtocolError"),
    "stall": (stall, "ReadTimeout"),
    "slow-head": (raw(b"HTTP/1.1 200 OK\r\nX: ", hold=True), "ReadTimeout"),
    "slow-body": (slow_body, "ReadTimeout"),
}


@contextlib.contextmanager
def serve(handlers: dict[str, Handler] = HANDLERS, context: ssl.SSLContext | None = None) -> Iterator[Origin]:
    origin = Origin(handlers, context)
    try:
        yield origin
    finally:
        origin.close()
