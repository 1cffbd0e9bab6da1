"""A worker that starts like a real one and then breaks the rules of the wire (docs/reference/wire.md).

FAULTY_HELLO   a dict that changes the hello
FAULTY_CASE    what it does with the first request it gets: a name in CASES or DEEDS, or `fuzz:SEED`
FAULTY_MARK    a file: it is faulty only as long as this file is not there, and makes it; later ones answer as they should
"""

import ast
import json
import mmap
import os
import random
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PAGE = 4096
TO_WORKER, TO_SERVER = 64, 320
TAIL, WAITING, PRODUCER_WAITING = 64, 128, 192
OPEN, DATA, END, RESET, WINDOW, HEAD, INFORM, FILE, PONG = 1, 2, 3, 4, 5, 6, 7, 8, 16
END_STREAM = 1
PAD = 0xFFFFFFFF


class Control:
    def __init__(self) -> None:
        self.socket = socket.socket(fileno=3)
        self.received = b""
        self.descriptors: list[int] = []

    def send(self, type: str, **content: Any) -> None:
        body = json.dumps({"type": type, **content}).encode()
        self.socket.sendall(struct.pack("<I", len(body)) + body)

    def pass_files(self, *tokens: int, path: str = "/etc/passwd", each: int = 1) -> None:
        """Passes a descriptor under each token."""
        fd = os.open(path, os.O_RDONLY)
        for token in tokens:
            body = json.dumps({"type": "descriptor", "token": token}).encode()
            socket.send_fds(self.socket, [struct.pack("<I", len(body)) + body], [fd] * each)
        os.close(fd)

    def receive(self) -> dict[str, Any]:
        while len(self.received) < 4 or len(self.received) < 4 + struct.unpack_from("<I", self.received)[0]:
            data, descriptors, _, _ = socket.recv_fds(self.socket, 65536, 253)
            if not data:
                sys.exit(0)
            self.received += data
            self.descriptors += descriptors
        end = 4 + struct.unpack_from("<I", self.received)[0]
        message, self.received = self.received[4:end], self.received[end:]
        return dict(json.loads(message))


class Link:
    """The worker's side of a link, without any of the checks that the real one makes before it writes."""

    def __init__(self, memfd: int, size: int, bell: int, control: Control) -> None:
        self.size, self.bell, self.control = size, bell, control
        self.memory = mmap.mmap(memfd, PAGE + 2 * size)
        self.words = {"<Q": memoryview(self.memory).cast("Q"), "<I": memoryview(self.memory).cast("I")}
        self.head = self.tail = self.claim = 0

    def word(self, offset: int, value: int, form: str = "<Q") -> None:
        # Not struct.pack_into: it clears the place first, and the server would see that.
        self.words[form][offset // struct.calcsize(form)] = value

    def read(self, take: bool = True) -> Iterator[tuple[int, int, bytes]]:
        """Type, stream and bytes of the frames that have come."""
        self.word(TO_WORKER + WAITING, 1, "<I")
        (tail,) = struct.unpack_from("<Q", self.memory, TO_WORKER + TAIL)
        while self.head < tail:
            at = PAGE + self.head % self.size
            size, stream = struct.unpack_from("<II", self.memory, at)
            frame = bytes(self.memory[at : at + size])
            if stream != PAD and frame[8] == OPEN:
                self.claim = at + 16
                self.word(self.claim, 1, "<I")
            self.head += size
            if take:
                self.word(TO_WORKER, self.head)
            if stream != PAD:
                yield frame[8], stream, frame

    def put(self, data: bytes) -> None:
        """Writes bytes as they are, round the end of the ring if need be, and shows them."""
        start, at = PAGE + self.size, self.tail % self.size
        first = data[: self.size - at]
        self.memory[start + at : start + at + len(first)] = first
        self.memory[start : start + len(data) - len(first)] = data[len(first) :]
        self.show(self.tail + len(data))

    def room(self) -> int:
        return self.size - self.tail + int(struct.unpack_from("<Q", self.memory, TO_SERVER)[0])

    def show(self, tail: int) -> None:
        self.tail = tail
        self.word(TO_SERVER + TAIL, tail & (1 << 64) - 1)
        os.eventfd_write(self.bell, 1)


def frame(type: int, stream: int, payload: bytes = b"", *, flags: int = 0, aux: int = 0, length: int | None = None,
          size: int | None = None) -> bytes:  # fmt: skip
    whole = payload + bytes(-len(payload) % 8)
    return struct.pack("<IIBBHI", 16 + len(whole) if size is None else size, stream, type, flags, aux,
                       len(payload) if length is None else length) + whole  # fmt: skip


def head(stream: int, body: bytes = b"", *, status: int = 200, flags: int = 0, count: int = 0, table: bytes = b"",
         length: int | None = None) -> bytes:  # fmt: skip
    payload = struct.pack("<H6x", count) + table + body
    return frame(HEAD, stream, payload, flags=flags, aux=status, length=len(body) if length is None else length)


def good(stream: int, body: bytes) -> bytes:
    return head(stream, body, flags=END_STREAM)


def lie_about_the_head(link: Link, stream: int) -> None:
    link.word(TO_WORKER, 1 << 40)
    link.put(frame(WINDOW, stream, length=1 << 20))  # so much that the server has to look for room
    while True:  # to go on reading would put the head right before it does
        signal.pause()


def undo_the_claim(link: Link, stream: int) -> None:
    link.word(link.claim, 0, "<I")
    link.put(frame(HEAD, stream, size=0))


def overspend(link: Link, stream: int) -> None:
    """Goes on and on, without waiting for credit, while the client does not read."""
    link.put(head(stream))
    data = frame(DATA, stream, bytes(32768 - 16))
    while True:
        while link.room() < len(data):
            pass
        link.put(data)


def file(stream: int, name: bytes, offset: int = 0, *, aux: int = 0) -> bytes:
    return frame(FILE, stream, struct.pack("<QQ", offset, 1) + name, aux=aux, length=len(name))


def by_token(stream: int, token: int, flags: int = END_STREAM) -> bytes:
    return frame(FILE, stream, struct.pack("<QQQ", 0, 1, token), aux=1, flags=flags, length=8)


def pass_a_folder(link: Link, stream: int) -> None:
    link.control.pass_files(1, path="/")
    link.put(head(stream) + by_token(stream, 1))


def pass_and_end(link: Link, stream: int) -> None:
    """As many as are kept for a worker, and none of them is ever named."""
    link.control.pass_files(*range(256))
    link.put(good(stream, b"passed"))


def name_for_nobody(link: Link, stream: int) -> None:
    """Frames for a stream that has ended: the server closes what they name, whichever comes first."""
    link.put(good(stream, b"named"))
    link.control.pass_files(*range(100))
    link.put(b"".join(by_token(stream, token) for token in range(200)))
    link.control.pass_files(*range(100, 200))
    link.control.pass_files(*range(1000, 1256))


# What a faulty worker does that is none of the server's business, or only its request's.
DEEDS: dict[str, Callable[[Link, int], None]] = {
    "folder": pass_a_folder,
    "many": pass_and_end,
    "nobody": name_for_nobody,
}

# What a faulty worker does when a request has come on a stream: each writes something that the server must not believe.
CASES: dict[str, Callable[[Link, int], None]] = {
    "size zero": lambda link, s: link.put(frame(HEAD, s, size=0)),
    "size not a multiple of 8": lambda link, s: link.put(frame(HEAD, s, bytes(16), size=25)),
    "size below a header": lambda link, s: link.put(frame(HEAD, s, size=8)),
    "size past what was published": lambda link, s: link.put(frame(HEAD, s, size=64)),
    "size past the ring": lambda link, s: link.put(frame(HEAD, s, size=link.size + 8)),
    "size giant": lambda link, s: link.put(frame(HEAD, s, size=0xFFFFFFF8)),
    "size over a quarter of the ring": lambda link, s: link.put(frame(DATA, s, bytes(link.size // 4))),
    "pad past what was published": lambda link, s: link.put(struct.pack("<II", 4096, PAD)),
    "pad of nothing": lambda link, s: link.put(struct.pack("<II", 0, PAD)),
    "tail before the head": lambda link, s: link.show(-8),
    "tail past the ring": lambda link, s: link.show(link.size + 8),
    "tail giant": lambda link, s: link.show(1 << 63),
    "tail not a multiple of 8": lambda link, s: link.show(12),
    "head of its ring past what was published": lie_about_the_head,
    "claim undone": undo_the_claim,
    "unknown type": lambda link, s: link.put(frame(99, s)),
    "type of the server's": lambda link, s: link.put(frame(OPEN, s, bytes(96))),
    "type zero": lambda link, s: link.put(frame(0, s)),
    "HEAD too short": lambda link, s: link.put(frame(HEAD, s, aux=200)),
    "HEAD with more fields than bytes": lambda link, s: link.put(head(s, count=0xFFFF)),
    "HEAD with field bytes past the frame": lambda link, s: link.put(head(s, count=1, table=b"\xff" * 4)),
    "HEAD with a body past the frame": lambda link, s: link.put(head(s, length=4096)),
    "HEAD with a giant body": lambda link, s: link.put(head(s, length=0xFFFFFFFF)),
    "more than its credit": overspend,
    "second HEAD": lambda link, s: link.put(head(s) + head(s)),
    "DATA before HEAD": lambda link, s: link.put(frame(DATA, s, b"data")),
    "DATA past the frame": lambda link, s: link.put(head(s) + frame(DATA, s, b"data", length=4096)),
    "END before HEAD": lambda link, s: link.put(frame(END, s)),
    "END with trailers past the frame": lambda link, s: link.put(head(s) + frame(END, s, aux=9, length=4096)),
    "END with fields past its trailers": lambda link, s: link.put(head(s) + frame(END, s, bytes(8), aux=0xFFFF)),
    "WINDOW of nothing": lambda link, s: link.put(frame(WINDOW, s, length=0)),
    "WINDOW too large": lambda link, s: link.put(frame(WINDOW, s, length=0xFFFFFFFF)),
    "WINDOW again and again": lambda link, s: link.put(frame(WINDOW, s, length=1 << 29) * 3),
    "INFORM with a final status": lambda link, s: link.put(frame(INFORM, s, bytes(8), aux=200, length=0)),
    "INFORM after HEAD": lambda link, s: link.put(head(s) + frame(INFORM, s, bytes(8), aux=103, length=0)),
    "FILE too short": lambda link, s: link.put(head(s) + frame(FILE, s)),
    "FILE of a second descriptor": lambda link, s: link.put(head(s) + by_token(s, 1) + by_token(s, 2)),
    "FILE that does not end its stream": lambda link, s: link.put(head(s) + by_token(s, 1, 0)),
    "descriptor twice": lambda link, s: link.control.pass_files(1, 1),
    "descriptors that nobody named": lambda link, s: link.control.pass_files(*range(257)),
    "descriptors together": lambda link, s: link.control.pass_files(1, each=3),
    "descriptor that is none": lambda link, s: link.control.send("descriptor", token=1),
    "descriptor named for nobody twice": lambda link, s: link.put(by_token(s + 1, 1) * 2),
    "FILE before HEAD": lambda link, s: link.put(by_token(s, 1)),
    "FILE of a negative range": lambda link, s: link.put(head(s) + file(s, struct.pack("<Q", 1), 1 << 63, aux=1)),
    "FILE without a name": lambda link, s: link.put(head(s) + file(s, b"", aux=1)),
    "FILE of a path": lambda link, s: link.put(head(s) + file(s, b"/etc/passwd")),
}


def fuzz(link: Link, stream: int, seed: int) -> None:
    """Frames that are nearly right, and bytes that are nothing, by a seeded choice."""
    chance = random.Random(seed)
    for _ in range(chance.randrange(1, 40)):
        payload = chance.randbytes(chance.choice([0, 8, 16, 100, 5000]))
        some = bytearray(
            frame(
                chance.choice([*range(20), chance.randrange(256)]),
                chance.choice([stream, stream, stream, stream + 1, 0, PAD, chance.getrandbits(32)]),
                payload,
                flags=chance.choice([0, 0, 1, 2, 3, 255]),
                aux=chance.choice([0, 1, 200, 204, 304, 103, 1000, 65535]),
                length=chance.choice([None, 0, 1, len(payload), 70000, 0xFFFFFFFF]),
            )
        )
        if chance.random() < 0.3:
            some[chance.randrange(len(some))] = chance.randrange(256)
        link.put(bytes(some))
    if chance.random() < 0.5:
        link.word(chance.choice([TO_WORKER, TO_SERVER + TAIL, TO_SERVER, TO_WORKER + TAIL]), chance.getrandbits(64))
    for offset in (TO_WORKER + WAITING, TO_WORKER + PRODUCER_WAITING, TO_SERVER + WAITING, TO_SERVER + PRODUCER_WAITING):
        if chance.random() < 0.2:
            link.word(offset, chance.getrandbits(32), "<I")
    os.eventfd_write(link.bell, 1)
    link.put(frame(99, stream, size=0))  # at the latest now


def main() -> None:
    control = Control()
    hello = {"wire": 1, "awaitd": "dev", "python": "3.0", "executable": sys.executable, "pid": os.getpid()}
    control.send("hello", **(hello | ast.literal_eval(os.environ.get("FAULTY_HELLO", "{}"))))
    setup = control.receive()
    doorbell, *rest, _ = control.descriptors  # the last leads to the HTTP client
    links = [
        Link(memfd, of["ring_size"], bell, control)
        for memfd, bell, of in zip(rest[::2], rest[1::2], setup["loops"][0]["links"], strict=True)
    ]
    mark = Path(os.environ["FAULTY_MARK"])
    case = "" if mark.exists() else os.environ["FAULTY_CASE"]
    mark.touch()
    control.send("ready", interface="asgi3", loop="faulty", lifespan=False)
    ready = select.poll()
    ready.register(doorbell, select.POLLIN)
    ready.register(control.socket, select.POLLIN)
    while True:
        for link in links:
            for type, stream, _ in link.read():
                if type == OPEN and case:
                    fuzz(link, stream, int(case[5:])) if case.startswith("fuzz:") else (CASES | DEEDS)[case](link, stream)
                elif type == OPEN:
                    link.put(good(stream, b"good"))
        for fd, _ in ready.poll():
            if fd == doorbell:
                os.eventfd_read(doorbell)
            else:
                obey(control)


def obey(control: Control) -> None:
    match control.receive()["type"]:
        case "drain":
            control.send("drained")
        case "stop":
            sys.exit(0)


if __name__ == "__main__":
    main()
