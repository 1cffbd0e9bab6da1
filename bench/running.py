"""One running server: started in its own session with a clean environment, watched through /proc, stopped for certain."""

import contextlib
import http.client
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import procs
from provision import BENCH, VENV
from rows import Row
from servers import Launch, Server

START_LIMIT = 30.0  # seconds until the first reply
STOP_LIMIT = 5.0  # seconds for a graceful end, then SIGKILL
PORTS = (20_000, 30_000)
LOG_TAIL = 300  # characters of a server's log that explain why it didn't start


class NotAvailable(Exception):
    """The server can't be measured; the message says why."""


class Running:
    """A server from its start to `stop`."""

    def __init__(self, server: Server, row: Row) -> None:
        self.server = server
        self.stopped = False
        self.directory = tempfile.TemporaryDirectory(prefix=f"bench-{server.name}-")
        home = Path(self.directory.name)
        self.port = free_port()
        launch = Launch(row.target, self.port, row.connections, home)
        self.log = home / "log"
        began = time.monotonic()
        with self.log.open("wb") as log:
            try:
                self.process = subprocess.Popen(
                    server.command(launch),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=home,
                    env=environment(home),
                    start_new_session=True,
                )
            except OSError as error:
                self.directory.cleanup()
                raise NotAvailable(str(error)) from error
        self.role = server.role(self.process.pid)
        try:
            self.wait_ready(row.request.path if row.request.method == "GET" else "/docs")
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - began

    def wait_ready(self, path: str) -> None:
        """Returns after the first HTTP reply of any status."""
        limit = time.monotonic() + START_LIMIT
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                raise NotAvailable(f"ended with {self.process.returncode} at start: {self.log_tail()}")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_LIMIT)
            try:
                connection.request("GET", path)
                connection.getresponse().read()
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.005)
            finally:
                connection.close()
        raise NotAvailable(f"no reply within {START_LIMIT:.0f} s: {self.log_tail()}")

    def log_tail(self) -> str:
        return " ".join(self.log.read_text(errors="replace").split())[-LOG_TAIL:]

    def usage(self) -> dict[tuple[int, int], procs.Usage]:
        return procs.snapshot(self.process.pid)

    def memory(self) -> dict[str, procs.Memory]:
        return procs.memory(self.process.pid, self.role)

    def stop(self) -> None:
        """Asks the first process to end, then kills what is left of the tree. A second call does nothing."""
        if self.stopped:
            return
        self.stopped = True
        root = self.process.pid
        members = {p.key for p in procs.tree(root, procs.running()) if p.session == root or self.process.poll() is None}
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_LIMIT)
        for process in procs.running():
            if process.key in members or process.session == root:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        self.process.wait()
        self.directory.cleanup()


def environment(home: Path) -> Mapping[str, str]:
    """The same few variables for every server, so that no setting of the user's shell takes part."""
    passed = {k: v for k, v in os.environ.items() if k in {"LD_LIBRARY_PATH", "TZ"}}
    path = f"{VENV}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    return {**passed, "PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(BENCH / "apps")}


def free_port() -> int:
    """A port that nobody listens on now, below the range that the kernel gives to clients."""
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port
