"""Rows of WebSockets that start each server afresh: idle ones, and one that speaks to all."""

import time

import load
import procs
from fresh import MB, SETTLE, WARM_SECONDS
from load import Load
from provision import say
from rows import CONNECTIONS
from running import Running
from samples import Sample, Turn, right
from servers import SERVERS

SAID = 1024  # bytes of what is said to all


def idle_sockets_sample(turn: Turn) -> Sample:
    """Memory that idle WebSockets add to a warm server, after each had one echo and before each has another."""
    row, server = turn.row, Running(SERVERS[turn.server], turn.row)
    try:
        right(load.sockets(server.port, row.request, CONNECTIONS, WARM_SECONDS))
        time.sleep(SETTLE)
        before = server.memory()
        with load.held(server.port, row.request, row.connections) as connections:
            right(connections.opened())
            time.sleep(SETTLE)
            after = server.memory()
            again = right(connections.used_again())
    finally:
        server.stop()
    roles = {role: (after[role].pss - before[role].pss) / row.connections for role in after}
    added = procs.total(after) - procs.total(before)
    each = {"rss": added.rss, "pss": added.pss, "private_dirty": added.private_dirty}
    figures = {
        **{f"{kind}_each": value / row.connections for kind, value in each.items()},
        "pss_mb": procs.total(after).pss / MB,
        "answered": again.requests,
    }
    say(f"  round {turn.number + 1} {turn.server}: {figures['pss_each']:.0f} bytes each, {roles}")
    return Sample(turn.number, figures, roles)


def broadcast_sample(turn: Turn) -> Sample:
    """CPU for each message that arrives, where one connection says something and all of them are told."""
    row, server = turn.row, Running(SERVERS[turn.server], turn.row)
    try:
        warm(server, turn)
        with load.told(server.port, row.request, row.connections, SAID, turn.seconds) as room:
            right(room.opened())
            before = server.usage()
            heard = right(room.told())
            after = server.usage()
            used = procs.cpu_between(before, after, server.role)
    finally:
        server.stop()
    figures = delivered(sum(used.values()), procs.user_between(before, after), heard)
    say(f"  round {turn.number + 1} {turn.server}: {figures['per_cpu_second']:.0f} messages per CPU-second")
    return Sample(turn.number, figures, {role: us / heard.requests for role, us in used.items()})


def warm(server: Running, turn: Turn) -> None:
    with load.told(server.port, turn.row.request, turn.row.connections, SAID, WARM_SECONDS) as room:
        right(room.opened())
        right(room.told())


def delivered(used_us: float, user_us: float, heard: Load) -> dict[str, float]:
    return {
        "per_cpu_second": heard.requests * 1e6 / used_us,
        "cpu_us": used_us / heard.requests,
        "user_us": user_us / heard.requests,
        "rate": heard.rate,
        "p50": heard.latency_us["p50"] / 1000,
        "p99": heard.latency_us["p99"] / 1000,
        "requests": heard.requests,
    }
