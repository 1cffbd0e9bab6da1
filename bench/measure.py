"""Measures a row: all its servers in turn, several rounds, in an order that changes from round to round.

Load rows keep every server of the row running and load one at a time; what the others use meanwhile is recorded, and one
that burns CPU while idle runs only during its own turns. Idle, start and slow rows start each server afresh.
"""

import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import load
import machine
import procs
from load import Drip, Load, LoadFailed
from provision import say
from rows import CONNECTIONS, Row
from running import NotAvailable, Running
from servers import FRONT, SERVERS

MB = 2**20
BURNING = 0.01  # of one core while nobody asks anything
WARM_SECONDS = 1
VERIFIED_EACH = 4  # requests per connection in a verification pass
SETTLE = 1.0  # seconds for memory to come to rest
FRESH_ROUNDS = 3  # rounds of rows that start their servers afresh, at most
STILL_OPEN = 0.95  # of the slow senders at the end, and of the bytes they are to send


class Void(Exception):
    """A reply failed or was wrong: the server has no figure in this row."""


@dataclass(frozen=True)
class Sample:
    """One round of one server: figures by name, and the headline's split by process role."""

    round: int
    figures: Mapping[str, float]
    roles: Mapping[str, float]


@dataclass
class RowResult:
    """All samples of a row by server; `missing` says why a server has none."""

    row: Row
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Effort:
    """How much to measure."""

    rounds: int
    seconds: int
    connections: int | None
    seed: int


def measure(row: Row, names: list[str], effort: Effort) -> RowResult:
    """Measures one row on the servers that can run it."""
    result = RowResult(row)
    rng = random.Random(effort.seed)
    if row.kind == "load":
        with Field(result, names) as field_:
            field_.run(effort, rng)
        return result
    fresh: dict[str, Callable[[Row, str, int], Sample]] = {
        "idle": idle_sample, "start": start_sample, "slow": partial(slow_sample, effort.seconds),
    }  # fmt: skip
    once = fresh[row.kind]
    for number in range(min(effort.rounds, FRESH_ROUNDS)):
        for name in shuffled(names, rng):
            if name not in result.missing:
                attempt(result, name, partial(once, row, name, number))
    return result


def attempt(result: RowResult, name: str, action: Callable[[], Sample | None]) -> None:
    """Keeps the sample, or why there is none: then the server's earlier samples don't count either."""
    try:
        sample = action()
    except (Void, NotAvailable, LoadFailed, procs.ProcessEnded) as error:
        kind = {Void: "void", NotAvailable: "not available", LoadFailed: "void", procs.ProcessEnded: "void, a process ended"}
        result.missing[name] = f"{kind[type(error)]}: {error}"
        result.samples.pop(name, None)
        say(f"  {name}: {result.missing[name]}")
        return
    if sample:
        result.samples.setdefault(name, []).append(sample)


def shuffled(names: list[str], rng: random.Random) -> list[str]:
    return rng.sample(names, len(names))


def right(answer: Load) -> Load:
    """Returns the load if every reply was right."""
    if answer.failures:
        raise Void("; ".join(answer.failures))
    return answer


class Field(ExitStack):
    """The servers of one load row, running side by side."""

    def __init__(self, result: RowResult, names: list[str]) -> None:
        super().__init__()
        self.result, self.row, self.names = result, result.row, names
        self.running: dict[str, Running] = {}
        self.solo: set[str] = set()
        self.bytes_each: dict[str, float] = {}

    def run(self, effort: Effort, rng: random.Random) -> None:
        connections = effort.connections if effort.connections and self.row.connections == CONNECTIONS else self.row.connections
        for name in self.names:
            self.attempt(name, partial(self.start, name, connections))
        self.send_burners_off()
        for number in range(effort.rounds):
            for name in shuffled(self.names, rng):
                self.attempt(name, partial(self.turn, name, number, connections, effort.seconds))

    def attempt(self, name: str, action: Callable[[], Sample | None]) -> None:
        """Does what attempt() does, and stops a server that has failed."""
        if name in self.result.missing:
            return
        attempt(self.result, name, action)
        if name in self.result.missing and name in self.running:
            self.running.pop(name).stop()

    def start(self, name: str, connections: int) -> None:
        server = Running(SERVERS[name], self.row)
        self.callback(server.stop)
        self.running[name] = server
        count, closing = connections * VERIFIED_EACH, server.server.closing
        verified = right(load.verify(server.port, self.row.request, connections, count, closing))
        self.bytes_each[name] = verified.bytes_each

    def send_burners_off(self) -> None:
        """Stops the servers that use CPU while nobody asks them anything."""
        time.sleep(SETTLE)
        before = {name: s.usage() for name, s in self.running.items()}
        time.sleep(1)
        for name, server in list(self.running.items()):
            used = procs.growth(before[name], server.usage())
            if used > BURNING * 1e6:
                say(f"  {name} uses {used / 1e4:.1f} % of a core while idle: it runs only in its own turns")
                self.solo.add(name)
                self.running.pop(name).stop()

    def turn(self, name: str, number: int, connections: int, seconds: int) -> Sample:
        if name in self.solo:
            self.start(name, connections)
        server = self.running[name]
        self.drive(server, connections, WARM_SECONDS)
        others = [s for n, s in self.running.items() if n != name]
        others_before = [s.usage() for s in others]
        machine_before, before = machine.busy(), server.usage()
        answer = self.drive(server, connections, seconds)
        used, machine_after = procs.cpu_between(before, server.usage(), server.role), machine.busy()
        idle_us = sum(procs.growth(b, s.usage()) for b, s in zip(others_before, others, strict=True))
        right(answer)
        if not self.row.rate and (wrong := load.check_bytes(answer, self.bytes_each[name], connections)):
            raise Void("; ".join(wrong))
        memory = procs.total(server.memory())
        if name in self.solo:
            self.running.pop(name).stop()
        figures = {
            **cpu_figures(used, answer.requests),
            **({"of_ideal": answer.rate / self.row.ideal} if self.row.ideal else {}),
            "rate": answer.rate,
            **{q: answer.latency_us[q] for q in ("p50", "p99", "p999")},
            "peak_rss_mb": memory.peak_rss / MB,
            "pss_mb": memory.pss / MB,
            "requests": answer.requests,
            "client_us": answer.cpu_us / answer.requests,
            "client_late_p99_us": answer.late_p99_us,
            "foreign": machine.foreign_share(machine_before, machine_after, sum(used.values()) + answer.cpu_us + idle_us),
            "idle_others_us": idle_us / answer.requests,
            "burns_idle": float(name in self.solo),
        }
        say(f"  round {number + 1} {name}: {figures['cpu_us']:.2f} µs, {figures['rate']:.0f}/s")
        return Sample(number, figures, {role: us / answer.requests for role, us in used.items()})

    def drive(self, server: Running, connections: int, seconds: int) -> Load:
        if self.row.rate:
            return load.open_loop(server.port, self.row.request, connections, self.row.rate, seconds)
        return load.wrk(server.port, self.row.request, connections, seconds)


def cpu_figures(used: Mapping[str, float], requests: int) -> dict[str, float]:
    """CPU per request and requests per CPU-second of all processes, and of the application server's where nginx is in front."""
    figures = {"cpu_us": sum(used.values()) / requests, "per_cpu_second": requests * 1e6 / sum(used.values())}
    if FRONT in used:
        own = sum(us for role, us in used.items() if role != FRONT)
        figures |= {"own_cpu_us": own / requests, "own_per_cpu_second": requests * 1e6 / own}
    return figures


def idle_sample(row: Row, name: str, number: int) -> Sample:
    """Memory that 10,000 connections add to a warm server, after each had one reply and before each has another."""
    server = Running(SERVERS[name], row)
    try:
        right(load.wrk(server.port, row.request, 64, WARM_SECONDS))
        time.sleep(SETTLE)
        before = server.memory()
        with load.held(server.port, row.request, row.connections) as connections:
            right(connections.opened())
            time.sleep(SETTLE)
            after = server.memory()
            right(connections.used_again())
    finally:
        server.stop()
    added = procs.total(after) - procs.total(before)
    each = {"rss": added.rss, "pss": added.pss, "private_dirty": added.private_dirty}
    figures = {f"{kind}_each": value / row.connections for kind, value in each.items()}
    figures["largest_each"] = max(figures.values())
    say(f"  round {number + 1} {name}: {figures['largest_each']:.0f} bytes each")
    return Sample(number, figures, {role: (after[role].rss - before[role].rss) / row.connections for role in after})


def start_sample(row: Row, name: str, number: int) -> Sample:
    """Memory right after the first reply has been given and things have settled, and how long that reply took."""
    server = Running(SERVERS[name], row)
    try:
        right(load.verify(server.port, row.request, 1, 1))
        time.sleep(SETTLE)
        memory = server.memory()
    finally:
        server.stop()
    whole = procs.total(memory)
    figures = {"rss_mb": whole.rss / MB, "pss_mb": whole.pss / MB, "seconds": server.start_seconds}
    return Sample(number, figures, {role: m.rss / MB for role, m in memory.items()})


def slow_sample(seconds: int, row: Row, name: str, number: int) -> Sample:
    """What one connection at a fixed rate waits, first alone and then beside connections that send a byte per second each."""
    server = Running(SERVERS[name], row)
    try:
        right(load.open_loop(server.port, row.request, 1, row.rate, WARM_SECONDS))
        alone, alone_foreign = watched(server, row, seconds)
        with load.dripping(server.port, row.request, row.connections) as senders:
            right(senders.opened())
            time.sleep(SETTLE)  # by then each has sent its first byte
            beside, beside_foreign = watched(server, row, seconds, senders.pid)
            drip = senders.ended()
    finally:
        server.stop()
    if wrong := check_drip(drip):
        raise Void(wrong)
    figures = {
        **{f"{q}_alone": alone.latency_us[q] for q in ("p50", "p99", "p999")},
        **{f"{q}_beside": beside.latency_us[q] for q in ("p50", "p99", "p999")},
        "growth": beside.latency_us["p99"] / alone.latency_us["p99"],
        "open": drip.open,
        "cut": drip.cut,
        "client_late_p99_us": max(alone.late_p99_us, beside.late_p99_us),
        "foreign": max(alone_foreign, beside_foreign),
    }
    say(f"  round {number + 1} {name}: p99 {figures['p99_alone']:.0f} µs alone, {figures['p99_beside']:.0f} µs beside")
    return Sample(number, figures, {})


def watched(server: Running, row: Row, seconds: int, *senders: int) -> tuple[Load, float]:
    """An open loop on one connection, and the share of the machine that went to anything but it, server and senders."""
    machine_before, before, dripped = machine.busy(), server.usage(), sum(map(procs.cpu_us, senders))
    answer = right(load.open_loop(server.port, row.request, 1, row.rate, seconds))
    dripped, used = sum(map(procs.cpu_us, senders)) - dripped, procs.cpu_between(before, server.usage(), server.role)
    ours = sum(used.values()) + answer.cpu_us + dripped
    return answer, machine.foreign_share(machine_before, machine.busy(), ours)


def check_drip(drip: Drip) -> str:
    """Says why the slow senders were none, or nothing."""
    if drip.open < STILL_OPEN * drip.connections:
        return f"{drip.open} of {drip.connections} slow senders were open at the end"
    if drip.sent < STILL_OPEN * drip.connections * drip.seconds:
        return f"slow senders sent {drip.sent} bytes in {drip.seconds:.1f} s, not one per second each"
    return ""
