"""Debian's PostgreSQL and Redis, started for the tests on free ports, each in a folder of its own, and ended by pid."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import asyncpg

from harness import Output

STARTS_WITHIN = 30
MAX_CONNECTIONS = 60
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
REDIS = shutil.which("redis-server")


class Engine:
    """A program that says that it is ready, and ends by a signal."""

    ready: str
    end: signal.Signals

    def __init__(self, name: str) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self._process: subprocess.Popen[str] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        process = subprocess.Popen(
            self.command(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **unprivileged(),
        )
        self._process = process
        assert process.stdout
        self.output = Output(process.stdout)
        assert self.output.wait_for(self.ready, STARTS_WITHIN), f"never said {self.ready!r}:\n{self.output.text()}"

    def stop(self, by: signal.Signals | None = None) -> None:
        if self._process:
            self._process.send_signal(by or self.end)
            self._process.wait(STARTS_WITHIN)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Engine):
    """It refuses to run as root, so to root it is postgres'."""

    ready = "database system is ready to accept connections"
    end = signal.SIGINT  # the fast shutdown: sessions are told to end

    def __init__(self) -> None:
        super().__init__("postgres")
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        init = [str(BINARIES[-1] / "initdb"), "-D", str(self.folder / "data"), "-U", "board", "-A", "trust", "--no-sync"]
        subprocess.run(
            [*init, "--locale=C.UTF-8", "-E", "UTF8"], cwd=self.folder, check=True, capture_output=True, **unprivileged()
        )
        self.start()

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "max_connections": MAX_CONNECTIONS,
            "superuser_reserved_connections": 3,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(BINARIES[-1] / "postgres"), "-D", str(self.folder / "data"), *options]

    def url(self, database: str, scheme: str = "postgresql") -> str:
        return f"{scheme}://board:secret@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        self.ask(f"CREATE DATABASE {database}")
        return database

    def ask(self, query: str, *values: Any, database: str = "postgres") -> list[Any]:
        """The rows of one query, by a connection that is closed when this returns."""

        async def fetch() -> list[Any]:
            connection = await asyncpg.connect(self.url(database), server_settings={"application_name": "the test"})
            try:
                return await connection.fetch(query, *values)
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def sessions(self, name: str, database: str = "%") -> list[int]:
        """Server processes of the connections that an application of this name has; a `%` stands for anything."""
        query = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE $1 AND datname LIKE $2 ORDER BY pid"
        return [row["pid"] for row in self.ask(query, name, database)]

    def ended(self, database: str) -> tuple[int, int]:
        """How many sessions a database has had, and in how many the client was gone without a word."""
        query = "SELECT sessions, sessions_abandoned FROM pg_stat_database WHERE datname = $1"
        ((sessions, abandoned),) = self.ask(query, database)
        return sessions, abandoned


class Redis(Engine):
    ready = "Ready to accept connections"
    end = signal.SIGTERM

    def __init__(self) -> None:
        super().__init__("redis")
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.start()

    def command(self) -> list[str]:
        assert REDIS
        return [REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def subscribers(self, channel: str) -> int:
        """How many connections listen there: `PUBSUB NUMSUB`."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(f"PUBSUB NUMSUB {channel}\r\n".encode())
            lines = connection.makefile("rb")
            while not (line := lines.readline()).startswith(b":"):
                assert line
            return int(line[1:])


def unprivileged() -> dict[str, Any]:
    """How subprocess starts what root may not, or should not, run: both packages bring a user; `postgres` does for both."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
