"""Rows about the life of workers: a mix of quick and slow requests, a worker that is stuck, reloads under load."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from functools import partial

import control
import load
import procs
from fresh import WARM_SECONDS, watched
from load import Load
from provision import say
from rows import Also
from running import Running
from samples import Sample, Turn, Void
from servers import SERVERS

QUANTILES = ("p50", "p99", "p999")
DEADLINE = 1.0  # seconds, of the request that gets stuck
STUCK_LIMIT = 10.0  # seconds in which it has to be over
STATUS_EVERY = 0.005
RELOADS = 5
GONE_EVERY = 0.02


def mixed_sample(turn: Turn) -> Sample:
    """Latencies at a fixed rate by path: of the path that most ask for, and of those that are drawn in between."""
    row, server = turn.row, Running(SERVERS[turn.server], turn.row)
    drive = partial(load.open_loop, server.port, row.request, row.connections, row.rate, turn.seconds, "-seed", str(turn.seed))
    try:
        plain = replace(row.request, also=())
        load.open_loop(server.port, plain, row.connections, row.rate, WARM_SECONDS)
        answer, foreign = watched(server, drive)
    finally:
        server.stop()
    figures = {
        **by_path(answer, row.request.path, row.request.also),
        "seed": turn.seed,
        "requests": answer.requests,
        "client_late_p99_us": answer.late_p99_us,
        "foreign": foreign,
    }
    say(f"  round {turn.number + 1} {turn.server}: p99 of the others {figures['p99']:.1f} ms")
    return Sample(turn.number, figures, {})


def by_path(answer: Load, path: str, also: tuple[Also, ...]) -> Mapping[str, float]:
    """In ms: `p50` and so on of the path that most ask for, `p50/wait` and so on of each other; `requests/wait` counts."""
    figures = {q: answer.kinds[path][q] / 1000 for q in (*QUANTILES, "max")}
    for other in also:
        kind = answer.kinds[other.path]
        figures |= {f"{q}{other.path}": kind[q] / 1000 for q in QUANTILES} | {f"requests{other.path}": kind["requests"]}
    return figures


def stuck_sample(turn: Turn) -> Sample:
    """From a request that makes its worker run an endless loop: when it is answered, and when another worker is ready."""
    server = Running(SERVERS[turn.server], turn.row, ["--timeout-request", f"{DEADLINE:g}s"])
    try:
        path = server.launch.control
        until("all workers are ready", lambda: ready(path) >= turn.row.workers)
        before = {w.pid for w in control.workers(path)}
        began = time.monotonic()
        asked = Asked(server.port, "/stuck")
        asked.start()
        until("another worker is ready", lambda: ready(path, before) > 0)
        replaced = time.monotonic() - began
        asked.join(STUCK_LIMIT)
    finally:
        server.stop()
    if b" 504 " not in asked.said:
        raise Void(f"the client of the stuck worker had {asked.said!r}, no 504")
    figures = {"answered": asked.seconds, "replaced": replaced}
    say(f"  round {turn.number + 1} {turn.server}: 504 after {asked.seconds:.2f} s, replaced after {replaced:.2f} s")
    return Sample(turn.number, figures, {})


def ready(path: str, but: Set[int] = frozenset()) -> int:
    """How many workers are ready, but for those with these pids."""
    return sum(w.state == "ready" and w.pid not in but for w in control.workers(path))


def until(what: str, true: Callable[[], bool]) -> None:
    limit = time.monotonic() + STUCK_LIMIT
    while not true():
        if time.monotonic() > limit:
            raise Void(f"not so after {STUCK_LIMIT:.0f} s: {what}")
        time.sleep(STATUS_EVERY)


class Asked(threading.Thread):
    """One request: the status line of its reply, and after how long that came."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__(daemon=True)
        self.port, self.path = port, path
        self.said, self.seconds = b"", 0.0

    def run(self) -> None:
        began = time.monotonic()
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), STUCK_LIMIT) as asked,
            asked.makefile("rb") as file,
        ):
            asked.sendall(f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            self.said = file.readline()
            self.seconds = time.monotonic() - began


def reload_sample(turn: Turn) -> Sample:
    """The same load twice, the second time with reloads: what failed, and what the others waited."""
    row, server = turn.row, Running(SERVERS[turn.server], turn.row)
    drive = partial(load.open_loop, server.port, row.request, row.connections, row.rate)
    try:
        drive(WARM_SECONDS)
        plain, foreign = watched(server, partial(drive, turn.seconds))
        reloads = Reloads(server, row.workers, turn.seconds)
        reloads.start()
        answer = drive(turn.seconds, "-reconnect")
        reloads.join()
    finally:
        server.stop()
    if reloads.late:
        raise Void(f"{reloads.late}; meanwhile {answer.failed} requests failed and {answer.ended} connections were ended")
    figures = {
        "failed": answer.failed,
        "ended": answer.ended,
        "rate": answer.rate,
        "rate_alone": plain.rate,
        **{q: answer.latency_us[q] / 1000 for q in (*QUANTILES, "max")},
        **{f"{q}_alone": plain.latency_us[q] / 1000 for q in (*QUANTILES, "max")},
        "reload_s": max(reloads.took),
        "requests": answer.requests,
        "client_late_p99_us": plain.late_p99_us,
        "foreign": foreign,
    }
    say(f"  round {turn.number + 1} {turn.server}: {answer.failed} failed, p99 {figures['p99']:.1f} ms")
    return Sample(turn.number, figures, {})


class Reloads(threading.Thread):
    """Sends SIGHUP in each of RELOADS equal parts of a load. A reload is over when the old workers have ended."""

    def __init__(self, server: Running, workers: int, seconds: int) -> None:
        super().__init__(daemon=True)
        self.server, self.workers, self.seconds = server, workers, seconds
        self.took: list[float] = []
        self.late = ""

    def run(self) -> None:
        began = time.monotonic()
        for number in range(RELOADS):
            time.sleep(max(0.0, began + (number + 0.25) * self.seconds / RELOADS - time.monotonic()))
            before, sent = self.server.descendants(), time.monotonic()
            os.kill(self.server.pid, signal.SIGHUP)
            while sum(not procs.alive(key) for key in before) < self.workers:
                if time.monotonic() > began + self.seconds:
                    self.late = f"{number} of {RELOADS} reloads were over at the end of the load of {self.seconds} s"
                    return
                time.sleep(GONE_EVERY)
            self.took.append(time.monotonic() - sent)
