"""Rows that start each server afresh: idle connections and slow senders."""

import time
from collections.abc import Callable
from functools import partial

import load
import machine
import procs
from load import Drip, Load
from provision import say
from running import Running
from samples import Sample, Turn, Void, right
from servers import SERVERS

MB = 2**20
WARM_SECONDS = 1
SETTLE = 1.0  # seconds for memory to come to rest
STILL_OPEN = 0.95  # of the slow senders at the end, and of the bytes they are to send


def idle_sample(turn: Turn) -> Sample:
    """Memory that 10,000 connections add to a warm server, after each had one reply and before each has another."""
    row, server = turn.row, Running(SERVERS[turn.server], turn.row)
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
    say(f"  round {turn.number + 1} {turn.server}: {figures['largest_each']:.0f} bytes each")
    return Sample(turn.number, figures, {role: (after[role].rss - before[role].rss) / row.connections for role in after})


def slow_sample(turn: Turn) -> Sample:
    """What one connection at a fixed rate waits, first alone and then beside connections that send a byte per second each."""
    row, server = turn.row, Running(SERVERS[turn.server], turn.row)
    drive = partial(load.open_loop, server.port, row.request, 1, row.rate, turn.seconds)
    try:
        right(load.open_loop(server.port, row.request, 1, row.rate, WARM_SECONDS))
        alone, alone_foreign = watched(server, drive)
        with load.dripping(server.port, row.request, row.connections) as senders:
            right(senders.opened())
            time.sleep(SETTLE)  # by then each has sent its first byte
            beside, beside_foreign = watched(server, drive, senders.pid)
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
    say(f"  round {turn.number + 1} {turn.server}: p99 µs {figures['p99_alone']:.0f} alone, {figures['p99_beside']:.0f} beside")
    return Sample(turn.number, figures, {})


def watched(server: Running, drive: Callable[[], Load], *beside: int) -> tuple[Load, float]:
    """A load, and the share of the machine that went to anything but it, the server and the processes beside."""
    machine_before, before, others = machine.busy(), server.usage(), sum(map(procs.cpu_us, beside))
    answer = right(drive())
    others, used = sum(map(procs.cpu_us, beside)) - others, procs.cpu_between(before, server.usage(), server.role)
    ours = sum(used.values()) + answer.cpu_us + others
    return answer, machine.foreign_share(machine_before, machine.busy(), ours)


def check_drip(drip: Drip) -> str:
    """Says why the slow senders were none, or nothing."""
    if drip.open < STILL_OPEN * drip.connections:
        return f"{drip.open} of {drip.connections} slow senders were open at the end"
    if drip.sent < STILL_OPEN * drip.connections * drip.seconds:
        return f"slow senders sent {drip.sent} bytes in {drip.seconds:.1f} s, not one per second each"
    return ""
