"""Measures a row: all its servers in turn, several rounds, in an order that changes from round to round.

Load rows keep every server of the row running and load one at a time; what the others use meanwhile is recorded, and one
that burns CPU while idle runs only during its own turns. The other rows start each server afresh: FRESH has what they do.
"""

import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import load
import machine
import postgres
import procs
from fresh import MB, SETTLE, WARM_SECONDS, idle_sample, slow_sample
from life import mixed_sample, reload_sample, stuck_sample
from load import Load, LoadFailed
from preload import preload_sample
from provision import say
from rooms import broadcast_sample, idle_sockets_sample
from rows import CONNECTIONS, Row
from running import NotAvailable, Running
from samples import Sample, Turn, Void, right
from servers import FRONT, SERVERS
from start import start_sample

BURNING = 0.01  # of one core while nobody asks anything
VERIFIED_EACH = 4  # requests per connection in a verification pass
FRESH_ROUNDS = 3  # rounds of rows that start their servers afresh, at most
FRESH: dict[str, Callable[[Turn], Sample]] = {
    "idle": idle_sample, "start": start_sample, "slow": slow_sample, "mixed": mixed_sample, "reload": reload_sample,
    "stuck": stuck_sample, "preload": preload_sample,
    "ws_idle": idle_sockets_sample, "ws_broadcast": broadcast_sample,
}  # fmt: skip


@dataclass
class RowResult:
    """All samples of a row by server; `missing` says why a server has none."""

    row: Row
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Effort:
    """How much to measure; without `seconds` each row has its own."""

    rounds: int
    seconds: int | None
    connections: int | None
    seed: int

    def window(self, row: Row) -> int:
        return self.seconds or row.seconds


def measure(row: Row, names: list[str], effort: Effort) -> RowResult:
    """Measures one row on the servers that can run it."""
    result = RowResult(row)
    rng = random.Random(effort.seed)
    if row.kind == "load":
        with Field(result, names) as field_:
            field_.run(effort, rng)
        return result
    for number in range(min(effort.rounds, FRESH_ROUNDS)):
        for name in shuffled(names, rng):
            if name not in result.missing:
                turn = Turn(row, name, number, effort.window(row), effort.seed + number)
                attempt(result, name, partial(FRESH[row.kind], turn))
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


class Field(ExitStack):
    """The servers of one load row, running side by side."""

    def __init__(self, result: RowResult, names: list[str]) -> None:
        super().__init__()
        self.result, self.row, self.names = result, result.row, names
        self.running: dict[str, Running] = {}
        self.solo: set[str] = set()
        self.bytes_each: dict[str, float] = {}
        self.database: postgres.Postgres | None = None

    def run(self, effort: Effort, rng: random.Random) -> None:
        connections = effort.connections if effort.connections and self.row.connections == CONNECTIONS else self.row.connections
        if self.row.database:
            try:
                self.database = self.enter_context(postgres.running())
            except postgres.NoPostgres as error:
                self.result.missing.update(dict.fromkeys(self.names, f"not available: {error}"))
        for name in self.names:
            self.attempt(name, partial(self.start, name, connections))
        self.send_burners_off()
        for number in range(effort.rounds):
            for name in shuffled(self.names, rng):
                self.attempt(name, partial(self.turn, name, number, connections, effort.window(self.row)))

    def attempt(self, name: str, action: Callable[[], Sample | None]) -> None:
        """Does what attempt() does, and stops a server that has failed."""
        if name in self.result.missing:
            return
        attempt(self.result, name, action)
        if name in self.result.missing and name in self.running:
            self.running.pop(name).stop()

    def start(self, name: str, connections: int) -> None:
        server = Running(SERVERS[name], self.row, variables={"BENCH_DATABASE": self.database.url} if self.database else None)
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
        database_before = self.database.usage() if self.database else {}
        machine_before, before = machine.busy(), server.usage()
        answer = self.drive(server, connections, seconds)
        used, machine_after = procs.cpu_between(before, server.usage(), server.role), machine.busy()
        idle_us = sum(procs.growth(b, s.usage()) for b, s in zip(others_before, others, strict=True))
        database_us = procs.growth(database_before, self.database.usage()) if self.database else 0.0
        right(answer)
        by_wrk = not self.row.rate and not self.row.request.socket
        if by_wrk and (wrong := load.check_bytes(answer, self.bytes_each[name], connections)):
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
            **({"database_us": database_us / answer.requests} if self.database else {}),
            "foreign": machine.foreign_share(
                machine_before, machine_after, sum(used.values()) + answer.cpu_us + idle_us + database_us
            ),
            "idle_others_us": idle_us / answer.requests,
            "burns_idle": float(name in self.solo),
        }
        say(f"  round {number + 1} {name}: {figures['cpu_us']:.2f} µs, {figures['rate']:.0f}/s")
        return Sample(number, figures, {role: us / answer.requests for role, us in used.items()})

    def drive(self, server: Running, connections: int, seconds: int) -> Load:
        if self.row.rate:
            return load.open_loop(server.port, self.row.request, connections, self.row.rate, seconds)
        if self.row.request.socket:
            return load.sockets(server.port, self.row.request, connections, seconds)
        return load.wrk(server.port, self.row.request, connections, seconds)


def cpu_figures(used: Mapping[str, float], requests: int) -> dict[str, float]:
    """CPU per request and requests per CPU-second of all processes, and of the application server's where nginx is in front."""
    figures = {"cpu_us": sum(used.values()) / requests, "per_cpu_second": requests * 1e6 / sum(used.values())}
    if FRONT in used:
        own = sum(us for role, us in used.items() if role != FRONT)
        figures |= {"own_cpu_us": own / requests, "own_per_cpu_second": requests * 1e6 / own}
    return figures
