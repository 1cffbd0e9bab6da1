"""Drives a server: wrk for closed loops, bench/load for open loops, verification and idle connections.

Both answer with a Load. A Load with failures voids the row: wrk's socket errors and non-2xx replies, its bytes per reply
being off what the verified replies had, or any reply that bench/load found wrong.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from provision import BENCH, LOAD
from rows import DATA, Request

BYTES_TOLERANCE = 0.02  # a `date` or `server` field more or less; a wrong body is off by more
GRACE = 60.0  # seconds a load generator may take beyond its load
QUANTILES = ("p50", "p90", "p99", "p999", "max")


@dataclass(frozen=True)
class Drip:
    """What slow senders did: how many are still connected, how often one was cut off, and the bytes they sent."""

    connections: int
    open: int
    cut: int
    sent: int
    seconds: float


class LoadFailed(Exception):
    """The load generator itself failed."""


@dataclass(frozen=True)
class Load:
    """What one load did. Latencies in µs; late_p99 is the open-loop client's own lateness; cpu_us the generator's CPU."""

    requests: int
    seconds: float
    bytes: int
    latency_us: Mapping[str, float]
    failures: tuple[str, ...] = ()
    late_p99_us: float = 0.0
    cpu_us: float = 0.0
    failed: int = 0  # requests without a right reply, as bench/load counts them
    ended: int = 0  # connections that the server ended with a reply, or idle
    kinds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # of a mix: latencies, and `requests`, by path

    @property
    def rate(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def bytes_each(self) -> float:
        return self.bytes / self.requests if self.requests else 0.0


def parse_wrk(output: str) -> Load:
    """Reads the line that wrk.lua printed."""
    for line in output.splitlines():
        if line.startswith("BENCH "):
            said = json.loads(line.removeprefix("BENCH "))
            failures = tuple(f"wrk: {said[k]} {k} errors" for k in ("connect", "read", "write", "status", "timeout") if said[k])
            if not said["requests"]:
                failures += ("wrk: no replies",)
            return Load(said["requests"], said["seconds"], said["bytes"], {q: said[q] for q in QUANTILES}, failures)
    raise LoadFailed(f"wrk printed no result:\n{output[-500:]}")


def parse_client(line: str) -> Load:
    """Reads one line of bench/load."""
    said = json.loads(line)
    failures = tuple(said["reasons"])
    if said["failures"]:
        failures = (f"{said['failures']} wrong or missing replies", *failures)
    return Load(
        requests=said["requests"],
        seconds=said["seconds"],
        bytes=said["bytes"],
        latency_us=said["latency_us"],
        failures=failures,
        late_p99_us=said["late_us"]["p99"],
        cpu_us=said["client_cpu_us"],
        failed=said["failures"],
        ended=said["ended"],
        kinds={path: {**kind["latency_us"], "requests": kind["requests"]} for path, kind in said.get("kinds", {}).items()},
    )


def parse_drip(line: str) -> Drip:
    """Reads the line that ends a drip of bench/load."""
    return Drip(**json.loads(line))


def check_bytes(load: Load, verified: float, connections: int) -> tuple[str, ...]:
    """Compares wrk's bytes with those of replies that were read and found right.

    Each connection may have had part of one more reply at the end: that matters only where replies are large.
    """
    least, most = load.requests * (1 - BYTES_TOLERANCE), (load.requests + connections) * (1 + BYTES_TOLERANCE)
    if verified and not least <= load.bytes / verified <= most:
        return (f"wrk: {load.bytes_each:.1f} bytes per reply, the verified ones had {verified:.1f}",)
    return ()


def wrk(port: int, request: Request, connections: int, seconds: int) -> Load:
    """Keeps `connections` requests under way for `seconds`."""
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s"]
    command += ["-s", str(BENCH / "wrk.lua"), f"http://127.0.0.1:{port}{request.path}"]
    command += ["--", request.method, request.content_type, request.body_file, str(request.echo), str(request.fields)]
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + GRACE, check=False)
    after = os.times()
    if done.returncode != 0:
        raise LoadFailed(f"wrk: {done.stderr.strip() or done.stdout.strip()}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    load = parse_wrk(done.stdout)
    return Load(load.requests, load.seconds, load.bytes, load.latency_us, load.failures, cpu_us=used * 1e6)


def open_loop(port: int, request: Request, connections: int, rate: int, seconds: int, *more: str) -> Load:
    """Sends `rate` requests per second for `seconds`, each checked; `more` are further arguments of bench/load."""
    command = client(port, request, connections, "-rate", str(rate), "-duration", f"{seconds}s", *more)
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + GRACE, check=False)
    if done.returncode != 0:
        raise LoadFailed(done.stderr.strip())
    return parse_client(done.stdout)


def sockets(port: int, request: Request, connections: int, seconds: int) -> Load:
    """Keeps one message on its way on each WebSocket for `seconds`, each checked."""
    command = client(port, request, connections, "-duration", f"{seconds}s")
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + GRACE, check=False)
    if done.returncode != 0:
        raise LoadFailed(done.stderr.strip())
    return parse_client(done.stdout)


def verify(port: int, request: Request, connections: int, count: int, closing: bool = False) -> Load:
    """Sends `count` requests on `connections` and checks each reply; `closing` if each has to end its connection."""
    asked = replace(request, path=request.verified or request.path)
    command = client(port, asked, connections, "-count", str(count), *(["-closing"] if closing else []))
    done = subprocess.run(command, capture_output=True, text=True, timeout=GRACE, check=False)
    if done.returncode != 0:
        raise LoadFailed(done.stderr.strip())
    return parse_client(done.stdout)


@contextmanager
def held(port: int, request: Request, connections: int) -> Iterator["Held"]:
    """Opens `connections`, 64 at a time, uses each once, and holds them."""
    with opening(port, request, connections, "-hold") as process:
        yield Held(process)


@contextmanager
def dripping(port: int, request: Request, connections: int) -> Iterator["Dripping"]:
    """Opens `connections` as held() does; from then on each sends one byte per second of a request head."""
    with opening(port, request, connections, "-drip") as process:
        yield Dripping(process)


@contextmanager
def told(port: int, request: Request, connections: int, size: int, seconds: int) -> Iterator["Told"]:
    """Opens WebSockets as held() does; then one of them says things of `size` bytes to all, for `seconds`."""
    with opening(port, request, connections, "-broadcast", str(size), "-duration", f"{seconds}s") as process:
        yield Told(process)


@contextmanager
def opening(port: int, request: Request, connections: int, *then: str) -> Iterator[subprocess.Popen[str]]:
    """A client that uses each connection once, prints that, and after a line on its input prints what came of them."""
    command = client(port, request, connections, "-count", str(connections), "-in-flight", "64", *then)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


class Opened:
    """Connections that are open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin, self.stdout, self.pid = process.stdin, process.stdout, process.pid

    def opened(self) -> Load:
        """Waits until each connection has had one reply."""
        return parse_client(self.answer())

    def answer(self) -> str:
        if line := self.stdout.readline():
            return line
        raise LoadFailed("bench/load ended early")

    def go_on(self) -> str:
        self.stdin.write("\n")
        self.stdin.flush()
        return self.answer()


class Held(Opened):
    """Connections that are held idle."""

    def used_again(self) -> Load:
        """Uses each connection once more: those that the server has dropped meanwhile show as failures."""
        return parse_client(self.go_on())


class Told(Opened):
    """WebSockets that are told what one of them says."""

    def told(self) -> Load:
        """Has it said, and returns what was heard."""
        return parse_client(self.go_on())


class Dripping(Opened):
    """Connections of slow senders."""

    def ended(self) -> Drip:
        """Ends the drip and says what came of it."""
        return parse_drip(self.go_on())


def client(port: int, request: Request, connections: int, *arguments: str) -> list[str]:
    """The command line of bench/load."""
    command = [str(LOAD), "-addr", f"127.0.0.1:{port}", "-method", request.method, "-path", request.path]
    command += ["-connections", str(connections), *arguments]
    if request.socket:
        command += ["-socket"]
    if request.fields:
        command += ["-fields", str(request.fields)]
    for also in request.also:
        command += ["-also", f"{also.path},{also.share},{DATA / also.expect}"]
    if request.content_type != "-":
        command += ["-content-type", request.content_type]
    if request.echo:
        return [*command, "-echo", str(request.echo)]
    if request.body != "-":
        command += ["-body", request.body_file]
    return [*command, "-expect", request.expect_file]
