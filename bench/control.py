"""Asks awaitd's control socket how its workers are, as `awaitd status` does."""

import json
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Worker:
    """One worker, as far as the bench needs it."""

    pid: int
    state: str
    requests: int


def parse(line: bytes) -> list[Worker]:
    return [Worker(w["pid"], w["state"], w["requests"]) for w in json.loads(line)["status"]["workers"]]


def workers(path: str) -> list[Worker]:
    """The workers of the server that has its control socket at `path`."""
    with socket.socket(socket.AF_UNIX) as asked, asked.makefile("rb") as file:
        asked.connect(path)
        asked.sendall(b'{"command":"status"}\n')
        return parse(file.readline())
