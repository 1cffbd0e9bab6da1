"""Debian's PostgreSQL for the rows of databases: in a folder of its own, on a unix socket, counted apart from the servers."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import procs

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
READY_WITHIN = 30.0  # seconds
# No disk takes part: what is compared is the servers, and a figure for `updates` would be the disk's.
SETTINGS = {
    "listen_addresses": "",
    "max_connections": 200,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}
# The tables of TechEmpower's benchmarks. The random numbers are not, so that a reply can be known beforehand.
TABLES = """
CREATE TABLE world (id integer PRIMARY KEY, randomnumber integer NOT NULL);
INSERT INTO world SELECT n, n * 7919 % 10000 + 1 FROM generate_series(1, 10000) AS n;
CREATE TABLE fortune (id integer PRIMARY KEY, message varchar(2048) NOT NULL);
INSERT INTO fortune VALUES
    (1, 'fortune: No such file or directory'),
    (2, 'A computer scientist is someone who fixes things that aren''t broken.'),
    (3, 'After enough decimal places, nobody gives a damn.'),
    (4, 'A bad random number generator: 1, 1, 1, 1, 1, 4.33e+67, 1, 1, 1'),
    (5, 'A computer program does what you tell it to do, not what you want it to do.'),
    (6, 'Emacs is a nice operating system, but I prefer UNIX. — Tom Christaensen'),
    (7, 'Any program that runs right is obsolete.'),
    (8, 'A list is only as strong as its weakest link. — Donald Knuth'),
    (9, 'Feature: A bug with seniority.'),
    (10, 'Computers make very fast, very accurate mistakes.'),
    (11, '<script>alert("This should not be displayed in a browser alert box.");</script>'),
    (12, 'フレームワークのベンチマーク');
ANALYZE;
"""


class NoPostgres(Exception):
    """There is none, or it does not start; the message says why."""


class Postgres:
    """A running one. `url` is where its database is."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.url = f"postgresql:///postgres?host={folder}&user=bench"
        self._process = process

    def usage(self) -> Mapping[tuple[int, int], procs.Usage]:
        """What each of its processes has used so far, those of the connections among them."""
        return procs.snapshot(self._process.pid)


@contextmanager
def running() -> Iterator[Postgres]:
    """Starts one, makes the tables, and ends it."""
    if not BINARIES:
        raise NoPostgres("PostgreSQL is not installed; as root: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="bench-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        run("initdb", "-D", str(folder / "data"), "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [str(BINARIES[-1] / "postgres"), "-D", str(folder / "data"), "-k", str(folder), *options]
        with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, **account()) as process:
            try:
                wait(folder, process)
                run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(folder), "-U", "bench", "-d", "postgres", "-c", TABLES)
                yield Postgres(folder, process)
            finally:
                process.send_signal(signal.SIGINT)  # the fast shutdown: it ends its sessions
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(program: str, *arguments: str) -> None:
    command = [str(BINARIES[-1] / program), *arguments]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **account())
    if done.returncode != 0:
        raise NoPostgres(f"{program}: {done.stderr.strip()}")


def wait(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    limit = time.monotonic() + READY_WITHIN
    while subprocess.run([str(BINARIES[-1] / "pg_isready"), "-q", "-h", str(folder)], check=False).returncode:
        if process.poll() is not None or time.monotonic() > limit:
            raise NoPostgres(f"PostgreSQL does not start: {(folder / 'log').read_text()[-300:]}")
        time.sleep(0.02)


def account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then its package's user does."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
