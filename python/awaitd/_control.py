"""The control socket: the worker's talk with the server about its own life (docs/reference/wire.md, "Control socket")."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
from array import array
from collections.abc import Mapping
from typing import Any

#: Descriptors that may come with one message; the kernel's own limit (SCM_MAX_FD).
MAX_DESCRIPTORS = 253

#: Bytes of one message, without its length.
MAX_MESSAGE = 1 << 20

#: Descriptors must not even for a moment be inheritable: an application's thread may fork. (Not on macOS.)
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

_LENGTH = struct.Struct("<I")


#: What leads to the HTTP client, until it is used: this process's id, and the descriptor that came with its setup.
client: tuple[int, int] | None = None


class Closed(Exception):
    """The server's end is closed; the watchdog is about to end this process."""


class Control:
    """One end of the control socket.

    ``receive`` blocks; ``poll`` doesn't and serves event loops. Sending is safe from every thread.
    """

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)
        self._received = bytearray()
        self._descriptors: list[int] = []
        self._lock = threading.RLock()  # a finalizer may send, too

    def fileno(self) -> int:
        return self._socket.fileno()

    def detach(self) -> int:
        """Give the descriptor away; this object is of no more use."""
        return self._socket.detach()

    def is_closed(self) -> bool:
        """Is the server's end closed, with nothing left to receive? Doesn't wait."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False

    def send(self, type: str, /, **content: Any) -> None:
        """Send a message. That the server is gone is no error here: the watchdog sees to it."""
        body = json.dumps({"type": type, **content}).encode()
        try:
            with self._lock:
                self._socket.sendall(_LENGTH.pack(len(body)) + body)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self) -> dict[str, Any]:
        """Wait for the next message. Raises ``Closed`` at the end."""
        while (message := self._next()) is None:
            self._read(0)
        return message

    def poll(self) -> list[dict[str, Any]]:
        """Return the messages that have arrived, without waiting. Raises ``Closed`` at the end."""
        with contextlib.suppress(BlockingIOError):
            self._read(socket.MSG_DONTWAIT)
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def take_descriptors(self, setup: Mapping[str, Any] | None = None) -> list[int]:
        """Hand over the descriptors that came with the messages received so far; of a setup's, the client's is kept apart."""
        taken, self._descriptors = self._descriptors, []
        if setup and setup.get("client") and taken:
            global client
            client = os.getpid(), taken.pop()
        return taken

    def _read(self, flags: int) -> None:
        # Not socket.recv_fds: it ignores its flags.
        room = socket.CMSG_LEN(MAX_DESCRIPTORS * array("i").itemsize)
        data, ancillary, _, _ = self._socket.recvmsg(1 << 16, room, flags | _CLOSE_ON_EXEC)
        for level, type, content in ancillary:
            if (level, type) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._take(content)
        if not data:
            raise Closed
        self._received += data

    def _take(self, content: bytes) -> None:
        descriptors = array("i")
        descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._descriptors += descriptors

    def _next(self) -> dict[str, Any] | None:
        if len(self._received) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._received)
        end = _LENGTH.size + length
        if length > MAX_MESSAGE:
            raise ValueError(f"a control message of {length} bytes; the limit is {MAX_MESSAGE}")
        if len(self._received) < end:
            return None
        message = json.loads(self._received[_LENGTH.size : end])
        del self._received[:end]
        return dict(message)


def split_links(setup: Mapping[str, Any], descriptors: list[int]) -> list[tuple[int, list[tuple[int, int, int]]]]:
    """Give each worker loop its descriptors: ``[(doorbell, [(memfd, ring size, doorbell towards the server), …]), …]``."""
    expected = sum(1 + 2 * len(loop["links"]) for loop in setup["loops"])
    if len(descriptors) != expected:
        raise ValueError(f"setup came with {len(descriptors)} descriptors instead of {expected}")
    supply = iter(descriptors)
    loops = []
    for loop in setup["loops"]:
        doorbell = next(supply)
        os.set_blocking(doorbell, False)
        loops.append((doorbell, [(next(supply), link["ring_size"], next(supply)) for link in loop["links"]]))
    return loops
