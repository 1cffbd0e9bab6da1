"""PostgreSQL and Redis from Debian, each in a folder of its own and at a unix socket there."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from harness import Output

POSTGRES = next(
    iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))[-1:]), None
)
REDIS = shutil.which("redis-server")
NAME = "board"  # of the user, and what the example calls its connections


class Engine:
    """A server process that is started in the foreground, and says when it is ready."""

    ready: str
    ends_by = signal.SIGTERM

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="awaitd-test-"))  # not pytest's: others may not look into that
        self.user = None
        self.process: subprocess.Popen[str] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command(),
            user=self.user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout
        self.output = Output(self.process.stdout)
        assert self.output.wait_for(self.ready), self.output.text()

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(self.ends_by)
            self.process.wait(20)
            self.process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgreSQL(Engine):
    ready = "database system is ready to accept connections"
    ends_by = signal.SIGINT  # fast: sessions are ended

    def __init__(self) -> None:
        super().__init__()
        assert POSTGRES
        if os.geteuid() == 0:  # it refuses to run as root
            self.user = "postgres"
            shutil.chown(self.folder, self.user)
        self.folder.chmod(0o755)
        initdb = [str(POSTGRES.with_name("initdb")), "-D", str(self.folder / "data"), "-U", NAME, "-A", "trust", "-E", "UTF8"]
        subprocess.run([*initdb, "--locale=C", "--no-sync"], user=self.user, check=True, capture_output=True)

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "max_connections": "40",
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return [str(POSTGRES), "-D", str(self.folder / "data"), *options]

    def url(self, driver: str = "") -> str:
        return f"postgresql{driver}://{NAME}@/postgres?host={self.folder}"

    def ask(self, query: str) -> str:
        """The first value of what a query of ours finds."""
        assert POSTGRES
        command = [str(POSTGRES.with_name("psql")), "-h", str(self.folder), "-U", NAME, "-d", "postgres", "-AtXc", query]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.partition("\n")[0]

    def connections(self, condition: str = "true") -> int:
        """How many connections the application has."""
        return int(self.ask(f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{NAME}' AND {condition}"))


class Redis(Engine):
    ready = "[Rr]eady to accept connections"

    def command(self) -> list[str]:
        assert REDIS
        return [REDIS, "--port", "0", "--unixsocket", str(self.folder / "socket"), "--save", "", "--appendonly", "no"]

    @property
    def url(self) -> str:
        return f"unix://{self.folder / 'socket'}"
