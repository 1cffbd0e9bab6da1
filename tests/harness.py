"""The server under test as its users start it: a command line, a port the system picks, a ready line, signals, an exit code.

Environment:
AWAITD_BIN          the binary under test (default: `awaitd` beside this Python, else bin/awaitd of this tree, else on PATH)
AWAITD_TEST_SERVER  `uvicorn`: run tests/e2e and tests/frameworks over uvicorn (ASGI) and gunicorn (WSGI), to tell a test's
                    fault from ours
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"

READY_WITHIN = 60  # seconds; a cold import of Django on a busy machine takes ten
STOP_WITHIN = 20
GRACE = 5  # --timeout-graceful-shutdown: how long the server waits for open streams
KEEP_LINES = 2000  # of each stream of output

_READY = re.compile(r"(?:https?|tcp|tls|udp|smtps?|lmtp)://127\.0\.0\.1:\d+|(?<=ready on )(?:lmtp://|https://)?unix:[^\s:]+")


class Output:
    """The lines of one stream of a process, read by a thread so that the process never waits for a reader."""

    def __init__(self, stream: IO[str]) -> None:
        self.lines: deque[str] = deque(maxlen=KEEP_LINES)
        self.bytes = 0
        self._stream = stream
        self._news = threading.Condition()
        self._ended = False
        self._reading = threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream:
            with self._reading, self._news:
                self.lines.append(line)
                self.bytes += len(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for(self, pattern: str | re.Pattern[str], within: float = 20) -> re.Match[str] | None:
        """The first match in a line that is here or comes; None if the stream ends, or the time, without one."""
        regex, seen, found = re.compile(pattern), 0, None
        deadline = time.monotonic() + within
        with self._news:
            while not found:
                found = next((match for line in list(self.lines)[seen:] if (match := regex.search(line))), None)
                # Lines that fall out at the front move the others: start over then.
                seen = len(self.lines) if len(self.lines) < KEEP_LINES else 0
                left = deadline - time.monotonic()
                if not found and (self._ended or left <= 0):
                    return None
                if not found:
                    self._news.wait(left)
        return found

    def text(self) -> str:
        with self._news:
            return "".join(self.lines)

    @contextmanager
    def unread(self) -> Iterator[None]:
        """Reads nothing meanwhile, so that the pipe fills."""
        with self._reading:
            yield

    def clear(self) -> None:
        """Forgets what is here, so that wait_for finds only what comes."""
        with self._news:
            self.lines.clear()

    def join(self, within: float) -> None:
        self._thread.join(within)


class Server:
    """A running server: where it is, and everything it said."""

    def __init__(
        self, command: list[str], env: Mapping[str, str], cwd: Path | None = None, pass_fds: Sequence[int] = ()
    ) -> None:
        self.command = command
        self.url = ""
        self._ports: dict[str, int] = {}
        self.process = subprocess.Popen(
            command,
            env=_environment() | dict(env),
            cwd=cwd,
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert self.process.stdout
        assert self.process.stderr
        self.stdout, self.stderr = Output(self.process.stdout), Output(self.process.stderr)

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_ready(self) -> None:
        if found := self.stderr.wait_for(_READY, READY_WITHIN):
            self.url = found[0]
            return
        self.process.kill()
        state = f"exit code {self.process.wait(STOP_WITHIN)}"
        raise RuntimeError(f"{' '.join(self.command)}\nnever said that it is ready ({state}):\n{self.output()}")

    def wait_for(self, pattern: str, within: float = 20) -> re.Match[str]:
        """Waits for a line on stderr: what the server, or a worker, says."""
        found = self.stderr.wait_for(pattern, within)
        assert found, f"never said {pattern!r}:\n{self.output()}"
        return found

    def accepts(self) -> bool:
        try:
            self.connect().close()
        except OSError:
            return False
        return True

    def connect(self, timeout: float = 10) -> socket.socket:
        """A new connection to the server."""
        path = self.url.removeprefix("unix:")
        if path != self.url:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout)
            connection.connect(path)
            return connection
        host, _, port = self.url.removeprefix("http://").partition(":")
        return socket.create_connection((host, int(port)), timeout)

    def port(self, target: str) -> int:
        """The port of the address that leads to a target, as its ready line has it."""
        if target not in self._ports:
            self._ports[target] = int(self.wait_for(rf"ready on \S+:(\d+): {re.escape(target)},")[1])
        return self._ports[target]

    def output(self) -> str:
        return self.stdout.text() + self.stderr.text()

    def memory(self) -> int:
        """Private bytes of the server and its workers: what they share among themselves is not counted."""
        return sum(_private_bytes(pid) for pid in family(self.pid))

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, within: float = STOP_WITHIN) -> int:
        """The exit code, when it has ended; its output is whole then."""
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"did not end within {within} s:\n{self.output()}") from None
        for output in (self.stdout, self.stderr):
            output.join(STOP_WITHIN)
        return code

    def kill(self) -> None:
        """Ends it, whatever it does; its workers see to themselves."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_WITHIN)


StartServer = Callable[..., Server]


@contextmanager
def serve(target: str, app_dir: Path, *options: str, env: Mapping[str, str]) -> Iterator[Server]:
    """Starts a server, waits for its ready line, and in the end stops it and looks at its exit code."""
    # spec: process 1 (the ready line with the URL; SIGTERM ends it cleanly, exit code 0)
    peer = os.environ.get("AWAITD_TEST_SERVER") == "uvicorn"
    # The worker's interpreter is the one that runs the tests, or what env names: as in a shell with this environment activated.
    env = {"VIRTUAL_ENV": sys.prefix} | dict(env)
    command = _peer(env["VIRTUAL_ENV"], target, app_dir, list(options)) if peer else _awaitd(target, app_dir, list(options))
    server = Server(command, env)
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


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """The server's threads stand still; what is sent to it meanwhile is there at once when it goes on."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        tasks = Path(f"/proc/{server.pid}/task")
        eventually(lambda: all(") T " in (task / "stat").read_text() for task in tasks.iterdir()))
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def binary() -> str:
    """The awaitd under test."""
    beside, tree = Path(sys.executable).parent / "awaitd", ROOT / "bin" / "awaitd"
    built = next((str(path) for path in (beside, tree) if path.exists()), None)
    if not (found := os.environ.get("AWAITD_BIN") or built or shutil.which("awaitd")):
        raise RuntimeError("no awaitd to test: set AWAITD_BIN, or install it (pip install .)")
    return found


def _environment() -> dict[str, str]:
    """Ours without AWAITD_*: to the server those are settings, and one it does not know is an error."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWAITD_")}
    # Compiled files are told from their sources by the second: too coarse for tests that change an application.
    return ours | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _awaitd(target: str, app_dir: Path, options: list[str]) -> list[str]:
    grace = ["--timeout-graceful-shutdown", str(GRACE)]
    address = [] if {"--uds", "--bind", "--fd"} & set(options) else ["--port", "0"]
    return [binary(), *filter(None, [target]), "--app-dir", str(app_dir), *address, *grace, *options]


def _peer(venv: str, target: str, app_dir: Path, options: list[str]) -> list[str]:
    python = f"{venv}/bin/python"
    if "wsgi" in target or "--threads" in options:
        return [
            *(python, "-m", "gunicorn", target, "--chdir", str(app_dir), "--bind", "127.0.0.1:0"),
            *("--graceful-timeout", str(GRACE), "--worker-class", "gthread", *options),
        ]
    return [
        *(python, "-m", "uvicorn", target, "--app-dir", str(app_dir), "--port", "0"),
        *("--timeout-graceful-shutdown", str(GRACE), *options),
    ]


def eventually(look: Callable[[], T], within: float = 10) -> T:
    """The first true value that look gives; for what has no event to wait for, such as a file another process writes."""
    end = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < end, f"not within {within} s"
        threading.Event().wait(0.02)
    return found


def family(pid: int) -> list[int]:
    """A process and all below it. The kernel lists children by the thread that made them."""
    children: list[str] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has just ended
            children += listed.read_text().split()
    return [pid, *(member for child in children for member in family(int(child)))]


def alive(pid: int) -> bool:
    """False for a process that is gone, or only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _private_bytes(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.M))


def resident(pid: int) -> int:
    """Bytes of memory a process has, those of its shared rings among them."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found
    return 1024 * int(found[1])


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used, user's and system's."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
