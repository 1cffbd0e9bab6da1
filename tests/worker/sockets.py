"""A WebSocket as the server drives it: its stream, with messages in text or bytes, and what the worker answers."""

from __future__ import annotations

import json
from typing import Any

from fakeserver import Stream, Worker
from frames import MORE, Frame

WINDOW = 65520
TEXT, BINARY = 1, 2


class Socket:
    """One WebSocket of a client, from OPEN on."""

    def __init__(self, worker: Worker, path: str, offered: str = "", **changes: Any) -> None:
        fields = [["host", "example.org"], *([["sec-websocket-protocol", offered]] if offered else [])]
        self.stream: Stream = worker.open(path, **{"kind": 2, "fields": fields, **changes})

    def accepted(self) -> Socket:
        """Wait for the acceptance and for the credit behind it."""
        self.acceptance = self.stream.next("ACCEPT")
        assert self.stream.next("WINDOW")["length"] == WINDOW
        return self

    def send(self, message: str | bytes, *, part: int = 1 << 30) -> None:
        """A message of the client, in parts of at most ``part`` bytes."""
        data = message.encode() if isinstance(message, str) else message
        starts = range(0, len(data) or 1, part)
        for start in starts:
            self.part(data[start : start + part], isinstance(message, str), start != starts[-1])

    def part(self, data: bytes, text: bool, more: bool) -> None:
        flags, aux = MORE if more else 0, TEXT if text else BINARY
        self.stream.send("MESSAGE", flags=flags, aux=aux, body=data.decode("latin-1"))

    def close(self, code: int, reason: str = "") -> None:
        self.stream.send("CLOSE", aux=code, body=reason.encode().decode("latin-1"))

    def next(self, *types: str) -> Frame:
        return self.stream.next(*types)

    def frames(self) -> list[Frame]:
        """The frames of the next message; credit is given back as they come."""
        frames = []
        while True:
            frame = self.next("MESSAGE", "WINDOW")
            if frame["type"] == "WINDOW":
                continue
            frames.append(frame)
            self.stream.window(frame["length"])
            assert frame["aux"] == frames[0]["aux"]
            if not frame["flags"] & MORE:
                return frames

    def receive(self) -> str | bytes:
        """The next message of the application."""
        frames = self.frames()
        data = b"".join(frame["body"].encode("latin-1") for frame in frames)
        return data.decode() if frames[0]["aux"] == TEXT else data

    def receive_json(self) -> Any:
        return json.loads(self.receive())

    def closed(self) -> tuple[int, str]:
        """Code and reason, when the application has closed."""
        frame = self.next("CLOSE", "WINDOW")
        while frame["type"] == "WINDOW":
            frame = self.next("CLOSE", "WINDOW")
        return frame["aux"], frame["body"].encode("latin-1").decode()
