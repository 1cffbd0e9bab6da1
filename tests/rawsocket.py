"""WebSocket by hand: each frame is what the test wrote, and what comes back is read as strictly as RFC 6455 has it."""

import base64
import hashlib
import os
import struct
from dataclasses import dataclass
from itertools import cycle

from harness import Server
from rawhttp import Connection, Response

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@dataclass
class Frame:
    opcode: int
    payload: bytes
    fin: bool = True
    packed: bool = False  # RSV1: the message is compressed


def frame(opcode: int, payload: bytes = b"", fin: bool = True, packed: bool = False, length: int | None = None) -> bytes:
    """A client's frame: masked. `length`: what it says, if that is not so."""
    n = len(payload) if length is None else length
    first = (0x80 if fin else 0) | (0x40 if packed else 0) | opcode
    size = bytes([0x80 | n]) if n < 126 else struct.pack("!BH", 0xFE, n) if n < 65536 else struct.pack("!BQ", 0xFF, n)
    mask = os.urandom(4)
    return bytes([first]) + size + mask + masked(payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    if len(payload) < 64:
        return bytes(a ^ b for a, b in zip(payload, cycle(mask), strict=False))
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(len(payload))


def handshake(target: str, key: str = "dGhlIHNhbXBsZSBub25jZQ==", **fields: str | None) -> bytes:
    """A handshake; a field's underscores become hyphens, and one that is None is left out."""
    given = {
        "host": "test",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": key,
    }
    given |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value is not None)
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


class WebSocket:
    """A WebSocket to the server, accepted. Every wait ends with a TimeoutError."""

    def __init__(self, server: Server, target: str, early: bytes = b"", timeout: float = 20, **fields: str | None) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.connection = Connection(server, timeout)
        self.connection.send(handshake(target, key, **fields) + early)
        self.answer: Response = self.connection.head()
        assert self.answer.status == 101, (self.answer.head, self.connection.rest())
        assert self.answer["upgrade"].lower() == "websocket"
        assert self.answer["connection"].lower() == "upgrade"
        assert self.answer["sec-websocket-accept"] == base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert "content-length" not in self.answer
        assert "transfer-encoding" not in self.answer
        self.packed = "sec-websocket-extensions" in self.answer
        self.socket = self.connection.socket

    def __enter__(self) -> "WebSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, message: str | bytes) -> "WebSocket":
        """A message in one frame."""
        text = isinstance(message, str)
        return self.raw(frame(TEXT, message.encode()) if text else frame(BINARY, message))

    def raw(self, *frames: bytes) -> "WebSocket":
        self.connection.send(b"".join(frames))
        return self

    def frame(self) -> Frame:
        """The next frame: unmasked, its length in the shortest form, control frames whole and short."""
        first, second = self.connection.read(2)
        found = Frame(first & 15, b"", bool(first & 0x80), bool(first & 0x40))
        assert first & 0x30 == 0, hex(first)
        assert self.packed or not found.packed
        assert second & 0x80 == 0, "a server does not mask"
        n = second
        if n == 126:
            (n,) = struct.unpack("!H", self.connection.read(2))
            assert n > 125
        elif n == 127:
            (n,) = struct.unpack("!Q", self.connection.read(8))
            assert n > 65535
        assert found.opcode in (0, TEXT, BINARY) or (found.opcode in (CLOSE, PING, PONG) and found.fin and n < 126), found
        found.payload = self.connection.read(n)
        return found

    def receive(self) -> str | bytes:
        """The next message, which is not compressed, however many frames it has."""
        found = self.frame()
        assert found.opcode in (TEXT, BINARY), found
        assert not found.packed
        parts, last = [found.payload], found
        while not last.fin:
            last = self.frame()
            assert (last.opcode, last.packed) == (0, False)
            parts.append(last.payload)
        whole = b"".join(parts)
        return whole.decode() if found.opcode == TEXT else whole

    def closed(self) -> tuple[int, str]:
        """The server's close frame comes next: its code and reason; 1005 if it has none."""
        found = self.frame()
        assert found.opcode == CLOSE, found
        if not found.payload:
            return 1005, ""
        return struct.unpack("!H", found.payload[:2])[0], found.payload[2:].decode()

    def ended(self) -> bool:
        """True when the connection ends and nothing comes before."""
        return self.connection.ends()

    def close(self, code: int | None = 1000, reason: str = "") -> "WebSocket":
        return self.raw(frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode()))
