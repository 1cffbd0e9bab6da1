"""The books of a storm: what the generator sent, what the application started, who died when; and whether they agree."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import time
from bisect import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from harness import Server, alive, family

DEADLINE = 2.0  # --timeout-request

# Lines of the server's log about workers that it ends, or that have ended.
_DEATH = re.compile(
    r"^(\S+ \S+) error (?:a worker is stuck|a worker ended and is replaced|a worker did not stop in time).* pid=(\d+)",
    re.M | re.I,
)


@dataclass
class Request:
    """One line of the ledger. Times are seconds since 1970."""

    id: str
    kind: str
    sent: float
    ended: float
    outcome: str


@dataclass
class Start:
    pid: int
    at: float


class Generator:
    """internal/tools/ledger at work against a server."""

    def __init__(self, program: Path, server: Server, folder: Path, *flags: str) -> None:
        self._file = folder / "ledger"
        address = server.url.removeprefix("http://")
        command = [str(program), "-addr", address, "-ledger", str(self._file), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def finish(self, within: float) -> dict[str, Any]:
        """The summary, when all has ended."""
        try:
            out, _ = self.process.communicate(timeout=within)
        finally:
            self.process.kill()
        assert self.process.returncode == 0
        self.summary: dict[str, Any] = json.loads(out)
        return self.summary

    def requests(self) -> list[Request]:
        lines = map(str.split, self._file.read_text().splitlines())
        return [Request(i, kind, int(sent) / 1e9, int(ended) / 1e9, outcome) for i, kind, sent, ended, outcome in lines]


def read_starts(file: Path) -> dict[str, list[Start]]:
    starts: dict[str, list[Start]] = defaultdict(list)
    for request_id, pid, at in map(str.split, file.read_text().splitlines()):
        starts[request_id].append(Start(int(pid), int(at) / 1e9))
    return starts


@dataclass
class Chaos:
    """Does to workers what a seed says. Who is hit when, is written down."""

    server: Server
    starts: Path
    dice: random.Random
    hits: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    done: Counter[str] = field(default_factory=Counter)
    seen: set[int] = field(default_factory=set)
    _stopped: dict[int, float] = field(default_factory=dict)
    _unready: int = 0

    def rage(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            for pid in [pid for pid, until in self._stopped.items() if until <= now]:
                self._go_on(pid)
            assert self.server.process.poll() is None, f"the server ended:\n{self.server.output()[-5000:]}"
            self._act(self.dice.choices(["SIGKILL", "SIGSEGV", "SIGSTOP", "SIGHUP", "freeze"], [4, 2, 4, 2, 2])[0])
            time.sleep(self.dice.uniform(0.05, 1.0))  # the storm's own pace; nothing is waited for
        for pid in list(self._stopped):
            self._go_on(pid)

    def _act(self, name: str) -> None:
        self.done[name] += 1
        if name == "SIGHUP":
            self.server.process.send_signal(signal.SIGHUP)
            return
        if (pid := self._victim()) is None:
            return
        if name == "freeze":
            self._freeze(pid)
            return
        if name == "SIGSTOP":
            self._stopped[pid] = time.monotonic() + self.dice.uniform(0.02, 1.5 * DEADLINE)
        self.hits[pid].append(time.time())
        _signal(pid, getattr(signal, name))

    def _freeze(self, victim: int) -> None:
        """Stops all workers, so that requests lie in their rings and have nowhere to go, and kills one of them then."""
        for pid in family(self.server.pid)[1:]:
            self._stopped[pid] = time.monotonic() + 0.3
            self.hits[pid].append(time.time())
            _signal(pid, signal.SIGSTOP)
        time.sleep(0.2)
        self.hits[victim].append(time.time())
        _signal(victim, signal.SIGKILL)

    def _victim(self) -> int | None:
        """A worker, ready or not; but not so many unready ones in a row that it counts as a crash loop."""
        workers = family(self.server.pid)[1:]
        ready = {int(line.split()[1]) for line in self.starts.read_text().splitlines()}
        if ready - self.seen:
            self._unready = 0
        self.seen |= ready | set(workers)
        unready = [pid for pid in workers if pid not in ready]
        if unready and self._unready < 2 and self.dice.random() < 0.2:
            self._unready += 1
            return self.dice.choice(unready)
        return self.dice.choice([pid for pid in workers if pid in ready] or [None])

    def _go_on(self, pid: int) -> None:
        del self._stopped[pid]
        _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: int) -> None:
    if alive(pid):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, number)


def deaths(server: Server, hits: dict[int, list[float]]) -> dict[int, list[float]]:
    """When workers were hit, or were said to be about to die, by process id."""
    times = defaultdict(list, {pid: list(at) for pid, at in hits.items()})
    for when, pid in _DEATH.findall(server.stderr.text()):
        times[int(pid)].append(datetime.fromisoformat(when).timestamp())
    return times


def overtaken(requests: list[Request]) -> list[int]:
    """Of each request, how many were sent after it and had ended before it."""
    ended: list[float] = []  # when those were sent that have ended, in order
    counts = []
    for r in sorted(requests, key=lambda r: r.ended):
        at = bisect(ended, r.sent)
        counts.append(len(ended) - at)
        ended.insert(at, r.sent)
    return counts


def audit(
    requests: list[Request], starts: dict[str, list[Start]], dead: dict[int, list[float]], claims: int, log: str
) -> list[str]:
    """What does not agree. claims is how many requests may fail unstarted: a worker claims one, and is hit before it calls the
    application."""
    wrong = []
    for r in requests:
        if problem := judge(r, starts.get(r.id, []), dead, log):
            wrong.append(f"{r.id} {r.kind} {r.outcome} after {r.ended - r.sent:.3f} s: {problem}; {starts.get(r.id)}")
    unstarted = [r.id for r in requests if r.outcome in ("502", "504") and r.id not in starts]
    if len(unstarted) > claims:
        wrong.append(f"failed on workers, and never started, with {claims} hits: {unstarted}")
    if unknown := starts.keys() - {r.id for r in requests}:
        wrong.append(f"started, and never sent: {unknown}")
    return wrong


def judge(r: Request, started: list[Start], dead: dict[int, list[float]], log: str) -> str:
    """What is wrong with one request, or nothing."""
    if len(started) > 1:
        return "started twice"
    died = [at for start in started for at in dead.get(start.pid, [])]
    after_death = any(r.sent - 0.1 <= at <= r.ended + 0.1 for at in died)
    match r.outcome:
        case "200":
            return "" if started else "answered by nobody"
        case "502":
            return "" if after_death or not started else "its worker was not hit meanwhile"
        case "cut":
            return "" if r.kind == "stream" and after_death else "its worker was not hit meanwhile, or it is no stream"
        case "503":
            return "" if not started and "refused: queue" in log else "it was started, or no queue was full"
        case "504":
            return "" if r.ended - r.sent >= DEADLINE else "its deadline was not over"
        case "aborted":
            return "" if r.kind.startswith("abort-") else "nobody meant to"
    return "must not be"
