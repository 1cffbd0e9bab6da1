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
from collections.abc import Iterable, Mapping
from pathlib import Path

import nginx
import procs
from launch import Launch
from provision import BENCH, VENV
from rows import Row
from servers import Server

START_LIMIT = 30.0  # seconds until the first reply
STOP_LIMIT = 5.0  # seconds for a graceful end, then SIGKILL
POLL = 0.0005  # seconds between two attempts to connect
PORTS = (20_000, 30_000)
NOBODY = {502, 503, 504}  # what a proxy answers while nobody is behind it
LOG_TAIL = 300  # characters of a server's log that explain why it didn't start


class NotAvailable(Exception):
    """The server can't be measured; the message says why."""


class Running:
    """A server from its start to `stop`. `options` are added to its command line, `variables` to its environment."""

    def __init__(
        self, server: Server, row: Row, options: Iterable[str] = (), variables: Mapping[str, str] | None = None
    ) -> None:
        self.server = server
        self.stopped = False
        self.directory = tempfile.TemporaryDirectory(prefix=f"bench-{server.name}-")
        home = Path(self.directory.name)
        self.port = free_port()
        self.launch = Launch(row.target, self.port, row.connections, home, row.threads, server.way, row.workers)
        self.environment = {**environment(home), **(variables or {})}
        self.log = home / "log"
        self.processes: list[subprocess.Popen[bytes]] = []  # the server, and nginx if there is one in front of it
        began = time.monotonic()
        try:
            self.start([*server.command(self.launch), *options])
            if server.way:
                self.start(nginx.front(self.launch))
            self.role = server.role(self.processes[0].pid)
            self.wait_ready(row.request.path if row.request.method == "GET" else "/docs")
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - began

    def start(self, command: list[str]) -> None:
        """Starts a process in a session of its own."""
        with self.log.open("ab") as log:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.launch.directory,
                    env=self.environment,
                    start_new_session=True,
                )
            except OSError as error:
                raise NotAvailable(str(error)) from error
        self.processes.append(process)

    def wait_ready(self, path: str) -> None:
        """Returns after the first HTTP reply of any status, but for a proxy's word that nobody is behind it yet."""
        limit = time.monotonic() + START_LIMIT
        while time.monotonic() < limit:
            if ended := [p for p in self.processes if p.poll() is not None]:
                raise NotAvailable(f"ended with {ended[0].returncode} at start: {self.log_tail()}")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_LIMIT)
            try:
                connection.request("GET", path)
                reply = connection.getresponse()
                reply.read()
                if reply.status not in NOBODY:
                    return
                time.sleep(POLL)
            except (OSError, http.client.HTTPException):
                time.sleep(POLL)
            finally:
                connection.close()
        raise NotAvailable(f"no reply within {START_LIMIT:.0f} s: {self.log_tail()}")

    def log_tail(self) -> str:
        return " ".join(self.log.read_text(errors="replace").split())[-LOG_TAIL:]

    def usage(self) -> dict[tuple[int, int], procs.Usage]:
        usages: dict[tuple[int, int], procs.Usage] = {}
        for process in self.processes:
            usages |= procs.snapshot(process.pid)
        return usages

    def memory(self) -> dict[str, procs.Memory]:
        used: dict[str, procs.Memory] = {}
        for process in self.processes:
            used |= procs.memory(process.pid, self.role)  # no role is in two trees
        return used

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self.processes[0].pid

    def descendants(self) -> set[tuple[int, int]]:
        """The keys of the processes below the first."""
        return {p.key for p in procs.tree(self.pid, procs.running()) if p.pid != self.pid}

    def stop(self) -> None:
        """Ends all, nginx before what is behind it. A second call does nothing."""
        if self.stopped:
            return
        self.stopped = True
        for process in reversed(self.processes):
            end(process)
        self.directory.cleanup()


def end(process: "subprocess.Popen[bytes]") -> None:
    """Asks a process to end, then kills what is left of its tree."""
    root = process.pid
    members = {p.key for p in procs.tree(root, procs.running()) if p.session == root or process.poll() is None}
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT)
    for left in procs.running():
        if left.key in members or left.session == root:
            with contextlib.suppress(ProcessLookupError):
                os.kill(left.pid, signal.SIGKILL)
    process.wait()


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
