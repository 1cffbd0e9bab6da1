"""How the tests talk with the program peer.py."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

from harness import Server, binary


def connect(server: Server) -> socket.socket:
    host, _, port = server.url.removeprefix("tcp://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def ask(server: Server | socket.socket, word: str) -> str:
    """What the program answers; empty if it is gone before."""
    connection = connect(server) if isinstance(server, Server) else server
    connection.sendall(word.encode() + b"\n")
    with connection.makefile() as lines:
        return lines.readline().strip()


def tell(server: Server, word: str) -> None:
    """Says something that the program may not live to answer."""
    with connect(server) as connection:
        connection.sendall(word.encode() + b"\n")
        while connection.recv(4096):
            pass


def command(*arguments: str | Path, code: int = 0) -> str:
    """Runs a command of awaitd; what it says."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWAITD_")}
    ended = subprocess.run([binary(), *map(str, arguments)], env=ours, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stderr if code else ended.stdout


def status(control: Path) -> dict[str, Any]:
    return dict(json.loads(command("status", "--json", "--control", control)))
