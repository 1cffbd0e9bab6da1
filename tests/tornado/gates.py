"""What the tests ask of the application beside them: its gates and its counters."""

import httpx

from harness import Server

PIECE, PIECES = 1 << 16, 512  # as app.py has them


def open_gate(server: Server, name: str) -> None:
    httpx.post(f"{server.url}/gate/{name}").raise_for_status()


def counted(server: Server, name: str) -> int:
    return int(httpx.get(f"{server.url}/count/{name}").text)


def settled(server: Server, name: str) -> int:
    """The counter, when it has stood still over many requests."""
    for _ in range(100):
        before = counted(server, name)
        if before and all(counted(server, name) == before for _ in range(50)):
            return before
    raise AssertionError(f"{name} never stands still")
