"""The server's end of the wire in plain Python, for one worker process: links, doorbells, control socket, streams.

Nothing here sleeps: every wait is for a doorbell, a control message or the end of the process, with a deadline that only a
failing test reaches.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

from frames import END_STREAM, PAD, Frame, decode, encode, open_frame

DEADLINE = float(os.environ.get("AWAITD_TEST_DEADLINE", "20"))
#: Where the package is; another build of it for tests/worker/sanitize.sh, whose libraries are loaded first.
PYTHON_DIR = os.environ.get("AWAITD_TEST_PYTHONPATH", str(Path(__file__).resolve().parents[2] / "python"))
PRELOAD = {"LD_PRELOAD": os.environ["AWAITD_TEST_PRELOAD"]} if "AWAITD_TEST_PRELOAD" in os.environ else {}
APPS = Path(__file__).resolve().parent / "apps"

_FENCE = threading.Lock()
_HEADER_PAGE = 4096
_TO_WORKER, _TO_SERVER = 64, 320
_TAIL, _CONSUMER_WAITING, _PRODUCER_WAITING = 64, 128, 192


def fence() -> None:
    """Order what was stored before what is loaded after: a lock's atomic operations are full barriers."""
    with _FENCE:
        pass


class Link:
    """The server's side of one link."""

    def __init__(self, worker_doorbell: int, ring_size: int) -> None:
        self.size = ring_size
        self.memfd = os.memfd_create("link", os.MFD_CLOEXEC)
        os.ftruncate(self.memfd, _HEADER_PAGE + 2 * ring_size)
        self.memory = mmap.mmap(self.memfd, _HEADER_PAGE + 2 * ring_size)
        self._words = {form: memoryview(self.memory).cast(form) for form in "QI"}
        self.memory[:12] = struct.pack("<III", 0x4B4C5741, 1, ring_size)
        self.doorbell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._worker_doorbell = worker_doorbell
        self._head = self._tail = 0

    def _load(self, offset: int, form: str = "Q") -> int:
        return int(self._words[form][offset // self._words[form].itemsize])

    def _store(self, offset: int, value: int, form: str = "Q") -> None:
        # Not struct.pack_into: it clears the place first, and the worker would see that.
        self._words[form][offset // self._words[form].itemsize] = value

    def _room(self) -> int:
        return self.size - (self._tail - self._load(_TO_WORKER))

    def write(self, *frames: bytes, ring: bool = True) -> None:
        """Put frames into the ring towards the worker, waiting for room; publish them together."""
        for frame in frames:
            rest = self.size - self._tail % self.size
            pad = rest if rest < len(frame) else 0
            if self._room() < pad + len(frame):
                self.publish()
                self._wait_for_room(pad + len(frame))
            if pad:
                self._put(struct.pack("<II", pad, PAD), pad)
            self._put(frame, len(frame))
        if ring:
            self.publish()

    def _put(self, data: bytes, length: int) -> None:
        start = _HEADER_PAGE + self._tail % self.size
        self.memory[start : start + len(data)] = data
        self._tail += length

    def _wait_for_room(self, length: int) -> None:
        while True:
            self._store(_TO_WORKER + _PRODUCER_WAITING, 1, "I")
            fence()
            if self._room() >= length:
                self._store(_TO_WORKER + _PRODUCER_WAITING, 0, "I")
                return
            self.wait_doorbell()

    def revoke(self, *streams: int) -> None:
        """Take requests back that the worker has not started and, as it is busy with others, won't start meanwhile."""
        at = self._load(_TO_WORKER)
        while at < self._tail:
            start = _HEADER_PAGE + at % self.size
            size, stream = struct.unpack_from("<II", self.memory, start)
            if stream in streams and self.memory[start + 8] == 1:
                assert self.memory[start + 16] == 0, "it was taken"
                self.memory[start + 16] = 2
            at += size
        os.eventfd_write(self._worker_doorbell, 1)

    def publish(self) -> None:
        self._store(_TO_WORKER + _TAIL, self._tail)
        fence()
        if self._load(_TO_WORKER + _CONSUMER_WAITING, "I"):
            self._store(_TO_WORKER + _CONSUMER_WAITING, 0, "I")
            os.eventfd_write(self._worker_doorbell, 1)

    def wait_doorbell(self) -> None:
        ready, _, _ = select.select([self.doorbell], [], [], DEADLINE)
        if not ready:
            raise TimeoutError("the worker did not ring")
        os.eventfd_read(self.doorbell)

    def read(self) -> bytes | None:
        """Take the next frame, if there is one."""
        while self._head != self._load(_TO_SERVER + _TAIL):
            start = _HEADER_PAGE + self.size + self._head % self.size
            size, stream = struct.unpack_from("<II", self.memory, start)
            assert 8 <= size <= self.size - self._head % self.size, "a broken frame"
            assert size % 8 == 0, "a broken frame"
            frame = bytes(self.memory[start : start + size])
            self._head += size
            self._store(_TO_SERVER, self._head)
            fence()
            if self._load(_TO_SERVER + _PRODUCER_WAITING, "I"):
                self._store(_TO_SERVER + _PRODUCER_WAITING, 0, "I")
                os.eventfd_write(self._worker_doorbell, 1)
            if stream != PAD:
                assert 16 <= size <= self.size // 4, "a frame of a wrong size"
                return frame
        return None

    def wait(self) -> bytes:
        """Take the next frame, waiting for it."""
        while (frame := self.read()) is None:
            self._store(_TO_SERVER + _CONSUMER_WAITING, 1, "I")
            fence()
            if (frame := self.read()) is not None:
                self._store(_TO_SERVER + _CONSUMER_WAITING, 0, "I")
                break
            self.wait_doorbell()
        return frame

    @property
    def consumed(self) -> bool:
        """True if the worker has taken everything from its ring."""
        return self._load(_TO_WORKER) == self._tail

    def close(self) -> None:
        for words in self._words.values():
            words.release()
        self.memory.close()
        os.close(self.memfd)
        os.close(self.doorbell)


class Stream:
    """One exchange, seen from the server."""

    def __init__(self, worker: Worker, link: Link, id: int) -> None:
        self.worker, self.link, self.id = worker, link, id

    def send(self, type: str, **fields: Any) -> None:
        self.link.write(encode({"stream": self.id, "type": type, "flags": 0, "aux": 0, **fields}))

    def data(self, body: str, end: bool = False) -> None:
        self.send("DATA", body=body, flags=END_STREAM if end else 0)

    def end(self) -> None:
        self.send("END", fields=[])

    def reset(self, code: int = 0) -> None:
        self.send("RESET", aux=code, body="")

    def window(self, credit: int) -> None:
        self.send("WINDOW", length=credit)

    def next(self, *types: str) -> Frame:
        """The stream's next frame; one of the types, if any are given."""
        frame = self.worker.next_frame(self.link, self.id)
        assert not types or frame["type"] in types, f"expected {types}, got {frame}"
        return frame

    def response(self) -> tuple[int, list[list[str]], str]:
        """Status, fields and body, when the response has ended well."""
        frame = self.next("HEAD", "INFORM", "WINDOW", "RESET")
        while frame["type"] in ("INFORM", "WINDOW"):
            frame = self.next("HEAD", "INFORM", "WINDOW", "RESET")
        assert frame["type"] == "HEAD", frame
        return frame["aux"], frame["fields"], frame["body"] + ("" if frame["flags"] & END_STREAM else self.response_body())

    def response_body(self) -> str:
        """The rest of the body, when the response has ended well; credit is given as it comes."""
        parts, frame = [], self.next("DATA", "END", "WINDOW")
        while frame["type"] != "END":
            parts.append(frame["body"] if frame["type"] == "DATA" else "")
            if frame["flags"] & END_STREAM:
                break
            if frame["type"] == "DATA":
                self.window(frame["length"])
            frame = self.next("DATA", "END", "WINDOW")
        return "".join(parts)


class Worker:
    """A real worker process with its links."""

    def __init__(
        self,
        target: str,
        *,
        links: int = 1,
        loops: int = 1,
        ring_size: int = 65536,
        env: dict[str, str] | None = None,
        pass_fds: list[int] | None = None,
        control_buffer: int | None = None,
        **setup: Any,
    ) -> None:
        ours, theirs = socket.socketpair()
        if control_buffer:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, control_buffer)
        self.control = ours
        self.stderr_file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self.doorbells = [os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(loops)]
        self.links = [Link(doorbell, ring_size) for doorbell in self.doorbells for _ in range(links)]
        path = os.pathsep.join(filter(None, [PYTHON_DIR, os.environ.get("PYTHONPATH", "")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "awaitd.worker"],
            pass_fds=[theirs.fileno(), *(pass_fds or [])],
            env={**os.environ, "PYTHONPATH": path, "AWAITD_CONTROL_FD": str(theirs.fileno()), **PRELOAD, **(env or {})},
            cwd=APPS,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=self.stderr_file,
            stderr=self.stderr_file,
        )
        theirs.close()
        self._received = b""
        self._descriptors: list[int] = []  # that came with control messages
        self._next_slot = 0
        self._frames: dict[tuple[int, int], deque[Frame]] = defaultdict(deque)
        self.hello = self.message("hello")
        per_loop = [{"links": [{"ring_size": ring_size}] * links} for _ in range(loops)]
        usual = {
            "wire": 1, "name": "worker 1", "target": target, "interface": "auto", "factory": False, "app_dir": "",
            "loop": "asyncio", "lifespan": "auto", "root_path": "", "workers": 1, "threads": 1, "log_level": "info",
            "loops": per_loop,
        }  # fmt: skip
        descriptors = []
        for n, doorbell in enumerate(self.doorbells):
            descriptors.append(doorbell)
            for link in self.links[n * links : (n + 1) * links]:
                descriptors += [link.memfd, link.doorbell]
        self.command("setup", descriptors, **{**usual, **setup})

    def command(self, type: str, descriptors: list[int] | None = None, **content: Any) -> None:
        body = json.dumps({"type": type, **content}).encode()
        data = struct.pack("<I", len(body)) + body
        sent = socket.send_fds(self.control, [data], descriptors or [])
        if sent < len(data):  # with nothing left to send, a worker that has read all of it may be gone
            self.control.sendall(data[sent:])

    def message(self, type: str = "") -> dict[str, Any]:
        """The next control message."""
        self.control.settimeout(DEADLINE)
        while len(self._received) < 4 or len(self._received) < 4 + struct.unpack_from("<I", self._received)[0]:
            data, descriptors, _, _ = socket.recv_fds(self.control, 65536, 1)
            self._descriptors += descriptors
            assert data, f"the worker has closed its control socket:\n{self.output()}"
            self._received += data
        end = 4 + struct.unpack_from("<I", self._received)[0]
        message: dict[str, Any] = json.loads(self._received[4:end])
        self._received = self._received[end:]
        assert not type or message["type"] == type, f"{message}\n{self.output()}"
        return message

    def descriptor(self) -> tuple[str, int]:
        """The token and the number of the next descriptor that the worker passes; the caller closes it."""
        message = self.message("descriptor")
        return f"{message['token']:016x}", self._descriptors.pop(0)

    def ready(self) -> Worker:
        self.info = self.message("ready")
        return self

    def new_stream(self, link: int = 0) -> Stream:
        self._next_slot += 1
        return Stream(self, self.links[link], self._next_slot)

    def open(self, path: str = "/", *, link: int = 0, **changes: Any) -> Stream:
        """Start an exchange."""
        stream = self.new_stream(link)
        stream.link.write(encode(open_frame(stream.id, path=path, **changes)))
        return stream

    def get(self, path: str = "/", **changes: Any) -> tuple[int, list[list[str]], str]:
        return self.open(path, **changes).response()

    def next_frame(self, link: Link, stream: int) -> Frame:
        queue = self._frames[id(link), stream]
        while not queue:
            try:
                frame = decode(link.wait())
            except TimeoutError as error:
                raise AssertionError(f"no frame for stream {stream}; the worker wrote:\n{self.output()}") from error
            self._frames[id(link), frame["stream"]].append(frame)
        return queue.popleft()

    def earlier(self, link: Link, stream: int) -> list[Frame]:
        """The frames for a stream that were read already, while others were waited for."""
        frames = self._frames.pop((id(link), stream), deque())
        return list(frames)

    def output(self) -> str:
        """What the worker has written to stdout and stderr."""
        self.stderr_file.seek(0)
        return self.stderr_file.read().decode(errors="replace")

    def stop(self) -> int:
        """Stop the worker as the server does; its exit status."""
        if self.process.poll() is None:
            self.command("stop")
        return self.wait()

    def wait(self) -> int:
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.control.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        for link in self.links:
            link.close()
        for doorbell in self.doorbells:
            os.close(doorbell)
        self.stderr_file.close()
