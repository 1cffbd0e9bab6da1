"""Measures lines (TCP, TLS), idle connections, datagrams and mail beside asyncio, uvloop, aiosmtpd: `python bench/jobs.py`."""

import argparse
import atexit
import contextlib
import functools
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import machine
import procs
from provision import BENCH, PYTHON, TALK, provision, say

APPS = BENCH / "apps"
TARGETS = {
    "tcp": "tcp://127.0.0.1:0=echoes:lines",
    "tls": "tls://127.0.0.1:0=echoes:lines",
    "udp": "udp://127.0.0.1:0=echoes:Datagrams",
    "mail": "smtp://127.0.0.1:0=echoes:Mail",
}
IDLE = 10_000
MESSAGES = 3000  # of mail, in a window


@dataclass(frozen=True)
class Row:
    """What is measured of whom. `least` is the ratio asked against a peer; of `most` bytes there may be that many."""

    job: str
    unit: str
    measure: Callable[["Server", int], float]
    servers: tuple[str, ...]
    least: dict[str, float]
    more_is_better: bool = False
    most: float = 0


class Server:
    """awaitd, or a peer, with one worker."""

    def __init__(self, name: str, job: str) -> None:
        command = [str(PYTHON), str(APPS / "echoes.py"), name, job]
        if name == "awaitd":
            binary = os.environ.get("AWAITD_BIN") or str(PYTHON.with_name("awaitd"))
            command = [binary, "--app-dir", str(APPS), "--loop", "uvloop", "--bind", TARGETS[job]]
        environment = {**os.environ, "VIRTUAL_ENV": str(PYTHON.parent.parent)}
        if job == "tls":
            environment["CERTIFICATE"] = environment["AWAITD_SSL_CERTFILE"] = certificate()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        assert self.process.stdout
        self.port = next(
            int(m[1]) for line in self.process.stdout if (m := re.search(r"ready on \S*?127\.0\.0\.1:(\d+):", line))
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def pids(self) -> list[int]:
        return [process.pid for process in procs.tree(self.process.pid, procs.running())]

    def cpu(self) -> float:
        """Microseconds of the whole tree so far."""
        return sum(procs.cpu_us(pid) for pid in self.pids())

    def memory(self) -> int:
        rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.pids()]
        return sum(procs.parse_kilobytes(text, f"Private_{kind}") for text in rollups for kind in ("Clean", "Dirty"))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@functools.cache
def certificate() -> str:
    """A file with a certificate that nobody trusts, P-256, and its key."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = f"{folder.name}/certificate.pem"
    ask = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*ask, "-keyout", f"{path}.key", "-out", path], check=True, capture_output=True)
    with open(path, "a") as file:
        file.write(Path(f"{path}.key").read_text())
    return path


def talked(job: str, connections: int, in_flight: int) -> Callable[[Server, int], float]:
    """CPU microseconds for each message that came back."""

    def measure(server: Server, seconds: int) -> float:
        before = server.cpu()
        command = [str(TALK), job, server.address, str(connections), str(in_flight), str(seconds)]
        count = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return (server.cpu() - before) / count

    return measure


def mailed(*options: str) -> Callable[[Server, int], float]:
    """Messages of 1 KB in a second, by 20 sessions of Postfix's smtp-source."""

    def measure(server: Server, seconds: int) -> float:
        source = shutil.which("smtp-source", path="/usr/sbin:" + os.environ["PATH"])
        assert source
        sent, began = 0, time.monotonic()
        while time.monotonic() - began < seconds:
            subprocess.run([source, *options, "-s", "20", "-l", "1024", "-m", str(MESSAGES), server.address], check=True)
            sent += MESSAGES
        return sent / (time.monotonic() - began)

    return measure


def idle(server: Server, _seconds: int) -> float:
    """Bytes for each of many connections that have had one line back."""
    with connected(server, 10):
        before = server.memory()
    with connected(server, IDLE):
        return (server.memory() - before) / IDLE


@contextlib.contextmanager
def connected(server: Server, count: int) -> Iterator[None]:
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(count)]
    for connection in connections:
        connection.sendall(b"x\n")
        assert connection.recv(10) == b"x\n"
    yield
    for connection in connections:
        connection.close()


PEERS = ("awaitd", "uvloop", "asyncio")
ROWS = {
    "tcp": Row("tcp", "CPU µs per line", talked("tcp", 64, 1), PEERS, {"uvloop": 1.5}),
    "idle": Row("tcp", "bytes per idle connection", idle, PEERS, {}, most=4096),
    "tls": Row("tls", "CPU µs per line in TLS", talked("tls", 64, 1), PEERS, {}),
    "tls_new": Row("tls", "CPU µs per connection in TLS (X25519, P-256) with one line", talked("tls-new", 16, 1), PEERS, {}),
    "udp": Row(
        "udp", "CPU µs per datagram, 64 peers, 1 in flight each", talked("udp", 64, 1), PEERS, {"asyncio": 2, "uvloop": 1.2}
    ),
    "udp_16": Row(
        "udp", "CPU µs per datagram, 8 peers, 16 in flight each", talked("udp", 8, 16), PEERS, {"asyncio": 2, "uvloop": 1.2}
    ),
    "mail": Row("mail", "messages/s, kept sessions", mailed("-d"), PEERS, {"asyncio": 5}, more_is_better=True),
    "mail_new": Row("mail", "messages/s, a session for each", mailed(), PEERS, {"asyncio": 5}, more_is_better=True),
}


def measure(row: Row, rounds: int, seconds: int) -> dict[str, list[float]]:
    """Interleaved rounds; each begins with new servers."""
    values: dict[str, list[float]] = {name: [] for name in row.servers}
    for number in range(rounds):
        for name in row.servers[number % len(row.servers) :] + row.servers[: number % len(row.servers)]:
            server = Server(name, row.job)
            try:
                values[name].append(row.measure(server, seconds))
            finally:
                server.stop()
            say(f"  round {number + 1} {name}: {values[name][-1]:.2f}")
    return values


def judged(row: Row, values: dict[str, list[float]]) -> str:
    """A line of the table: medians, and what was asked."""
    medians = {name: statistics.median(v) for name, v in values.items()}
    cells = [f"{medians[name]:,.2f}" for name in PEERS]
    verdicts = []
    for peer, least in row.least.items():
        pairs = zip(values["awaitd"], values[peer], strict=True)
        ratio = statistics.median(ours / theirs if row.more_is_better else theirs / ours for ours, theirs in pairs)
        verdicts.append(f"{ratio:.2f} × {peer} (asked {least:g}: {'met' if ratio >= least else 'missed'})")
    if row.most:
        verdicts.append(f"asked {row.most:g}: {'met' if medians['awaitd'] <= row.most else 'missed'}")
    return f"| {row.unit} | {' | '.join(cells)} | {'; '.join(verdicts)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(ROWS), metavar="ROW,…", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds; the median counts (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="length of each window (default 3)")
    asked = parser.parse_args()
    if unknown := set(asked.only.split(",")) - set(ROWS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    provision({"awaitd"})
    lines = []
    for name in asked.only.split(","):
        say(f"{name}: {ROWS[name].unit}")
        lines.append(judged(ROWS[name], measure(ROWS[name], asked.rounds, asked.seconds)))
    facts = machine.facts()
    where = ", ".join(str(facts[key]) for key in ("date", "cpu", "cpus", "kernel", "python", "commit"))
    print(f"Median of {asked.rounds} rounds of {asked.seconds} s; {where}\n")
    print("| what | awaitd | uvloop | asyncio | awaitd is |\n| --- | --- | --- | --- | --- |")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
