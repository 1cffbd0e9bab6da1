"""Upgrades by SIGUSR2: a server is asked for one, and what it starts is ended with the test (the fixture `upgrades`)."""

import os
import signal

from harness import Server, alive, eventually


class Upgrades:
    """Starts upgrades, and sees to the end of what they start."""

    def __init__(self) -> None:
        self.started: list[int] = []

    def begin(self, server: Server, pid: int = 0) -> int:
        """Asks a server to upgrade; the new process's id."""
        server.stderr.clear()
        os.kill(pid or server.pid, signal.SIGUSR2)
        self.started.append(int(server.wait_for(r"upgrading successor=(\d+)")[1]))
        return self.started[-1]

    def done(self, server: Server, pid: int = 0) -> int:
        """Upgrades a server, and waits until the old process has gone."""
        new = self.begin(server, pid)
        server.wait_for(r"replaced; finishing what runs")
        eventually(lambda: not alive(pid or server.pid), 20)
        return new

    def end(self, pid: int) -> None:
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not alive(pid), 20)

    def kill(self) -> None:
        """Ends whatever is left."""
        for pid in self.started:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
