"""The server under test as its users start it: a command line, a port the system picks, a ready line, SIGTERM."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")

READY_WITHIN = 60  # seconds; a cold import of Django on a busy machine takes ten
STOP_WITHIN = 20
GRACE = 5  # --timeout-graceful-shutdown: how long the server waits for open streams

_READY = re.compile(r"http://127\.0\.0\.1:\d+")


class Server:
    """A running server: where it is, and everything it said."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        self.command = command
        self.url = ""
        self._lines: list[str] = []
        self._ready = threading.Event()  # a line with the address came, or the end
        self.process = subprocess.Popen(
            command,
            env=_environment() | dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, is_stderr), daemon=True)
            for stream, is_stderr in ((self.process.stdout, False), (self.process.stderr, True))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], is_stderr: bool) -> None:
        for line in stream:
            self._lines.append(line)
            if is_stderr and not self.url and (found := _READY.search(line)):
                self.url = found[0]
                self._ready.set()
        if is_stderr:
            self._ready.set()

    def wait_ready(self) -> None:
        self._ready.wait(READY_WITHIN)
        if not self.url:
            self.process.kill()
            state = f"exit code {self.process.wait(STOP_WITHIN)}"
            raise RuntimeError(f"{' '.join(self.command)}\nnever said that it is ready ({state}):\n{self.output()}")

    def accepts(self) -> bool:
        host, _, port = self.url.removeprefix("http://").partition(":")
        with socket.socket() as connection:
            return connection.connect_ex((host, int(port))) == 0

    def output(self) -> str:
        return "".join(self._lines[-300:])

    def memory(self) -> int:
        """Private bytes of the server and its workers: what they share among themselves is not counted."""
        return sum(_private_bytes(pid) for pid in _family(self.process.pid))

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_WITHIN)
            raise RuntimeError(f"did not stop within {STOP_WITHIN} s of SIGTERM:\n{self.output()}") from None
        for reader in self._readers:
            reader.join(STOP_WITHIN)
        return code


@contextmanager
def serve(target: str, app_dir: Path, *options: str, env: Mapping[str, str]) -> Iterator[Server]:
    """Starts a server, waits for its ready line, and in the end stops it and looks at its exit code."""
    # spec: process 1 (the ready line with the URL; SIGTERM ends it cleanly, exit code 0)
    peer = os.environ.get("AWAITD_TEST_SERVER") == "uvicorn"
    command = (_peer if peer else _awaitd)(target, app_dir, list(options))
    # The worker's interpreter is the one that runs the tests: as in a shell with this environment activated.
    server = Server(command, {"VIRTUAL_ENV": sys.prefix} | dict(env))
    try:
        server.wait_ready()
        if peer:  # uvicorn with several workers names the address before it listens there; our ready line is a promise
            eventually(server.accepts, READY_WITHIN)
        yield server
    finally:
        if server.url:
            died = server.process.poll()
            assert died is None, f"ended by itself with exit code {died}:\n{server.output()}"
            code = server.stop()
            assert code == 0 or (peer and code == -signal.SIGTERM), f"exit code {code}:\n{server.output()}"


def _environment() -> dict[str, str]:
    """Ours without AWAITD_*: to the server those are settings, and one it does not know is an error."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWAITD_")}
    return ours | {"PYTHONUNBUFFERED": "1"}


def _awaitd(target: str, app_dir: Path, options: list[str]) -> list[str]:
    beside = Path(sys.executable).parent / "awaitd"
    binary = os.environ.get("AWAITD_BIN") or (str(beside) if beside.exists() else shutil.which("awaitd"))
    if not binary:
        raise RuntimeError("no awaitd to test: set AWAITD_BIN, or install it (pip install .)")
    grace = ["--timeout-graceful-shutdown", str(GRACE)]
    return [binary, target, "--app-dir", str(app_dir), "--port", "0", *grace, *options]


def _peer(target: str, app_dir: Path, options: list[str]) -> list[str]:
    if "wsgi" in target:
        return [
            *(sys.executable, "-m", "gunicorn", target, "--chdir", str(app_dir), "--bind", "127.0.0.1:0"),
            *("--graceful-timeout", str(GRACE), "--worker-class", "gthread", *options),
        ]
    return [
        *(sys.executable, "-m", "uvicorn", target, "--app-dir", str(app_dir), "--port", "0"),
        *("--timeout-graceful-shutdown", str(GRACE), *options),
    ]


def eventually(look: Callable[[], T], within: float = 10) -> T:
    """The first true value that look gives; for what has no event to wait for, such as a file another process writes."""
    end = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < end, f"not within {within} s"
        threading.Event().wait(0.02)
    return found


def _family(pid: int) -> list[int]:
    """A process and all below it. The kernel lists children by the thread that made them."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for listed in lists for child in listed.read_text().split()]
    return [pid, *(member for child in children for member in _family(child))]


def _private_bytes(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.M))
