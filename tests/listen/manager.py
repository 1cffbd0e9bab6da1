"""A service manager, as far as a service sees one: sockets and variables at its start, and a socket that it may tell things."""

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import Server, StartServer, binary

HERE = Path(__file__).parent

# What systemd does between fork and exec: descriptors from 3 on, and the id of the process that the program will be.
_START = """
import os, sys
passed, program = [int(fd) for fd in sys.argv[1].split(",") if fd], sys.argv[2:]
for i, fd in enumerate(passed):
    os.dup2(fd, 200 + i)
for i in range(len(passed)):
    os.dup2(200 + i, 3 + i)
os.closerange(3 + len(passed), 256)
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.environ.setdefault("WATCHDOG_PID", str(os.getpid()))
os.execv(program[0], program)
"""


class Manager:
    """Listens to what services say, and starts them."""

    def __init__(self, launch: StartServer, address: str) -> None:
        self._launch = launch
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = address
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def start(
        self, *options: str, sockets: Sequence[socket.socket] = (), names: str = "", target: str = "app:app", **env: str
    ) -> Server:
        """Starts a service with sockets and variables."""
        variables = {"NOTIFY_SOCKET": self.address}
        if sockets:
            variables["LISTEN_FDS"] = str(len(sockets))
        if names:
            variables["LISTEN_FDNAMES"] = names
        numbers = [s.fileno() for s in sockets]
        return self._launch(
            *("-c", _START, ",".join(map(str, numbers)), binary(), target, "--app-dir", str(HERE), *options),
            program=sys.executable,
            pass_fds=numbers,
            env=variables | env,
        )

    def next(self, within: float = 30) -> dict[str, str]:
        """The next message."""
        self.socket.settimeout(within)
        return dict(line.split("=", 1) for line in self.socket.recv(65536).decode().split("\n"))

    def wait_for(self, name: str, within: float = 30) -> dict[str, str]:
        """The next message with this assignment, whatever comes before."""
        while name not in (message := self.next(within)):
            pass
        return message

    def silent(self) -> bool:
        """Whether nothing has come."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(65536)
        except BlockingIOError:
            return True
        return False


def inode(listener: socket.socket) -> str:
    return str(os.fstat(listener.fileno()).st_ino)
