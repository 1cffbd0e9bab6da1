"""How long a server takes to its first reply, beside an interpreter that only imports the application, and its memory then."""

import statistics
import subprocess
import time
from collections.abc import Mapping

import load
import procs
from fresh import MB, SETTLE
from provision import PYTHON, say
from running import Running
from samples import Sample, Turn, right
from servers import SERVERS

REPEATS = 5  # of import and start in turns
SLACK = 1.2  # times the import that a start may take, besides what is its own


def start_sample(turn: Turn) -> Sample:
    """Imports and starts in turns; the memory is that of the last start, when things have settled after the first reply."""
    row, imports, starts = turn.row, [], []
    module = row.target.split(":")[0]
    for repeat in range(REPEATS):
        server = Running(SERVERS[turn.server], row)
        try:
            right(load.verify(server.port, row.request, 1, 1))
            starts.append(server.start_seconds)
            if repeat == REPEATS - 1:
                time.sleep(SETTLE)
                memory = server.memory()
            environment = server.environment
        finally:
            server.stop()
        imports.append(import_seconds(module, environment))
    whole = procs.total(memory)
    figures = {"rss_mb": whole.rss / MB, "pss_mb": whole.pss / MB, **beyond(imports, starts)}
    say(f"  round {turn.number + 1} {turn.server}: {figures['first_ms']:.0f} ms, import {figures['import_ms']:.0f} ms")
    return Sample(turn.number, figures, {role: m.rss / MB for role, m in memory.items()})


def beyond(imports: list[float], starts: list[float]) -> Mapping[str, float]:
    """In ms: the medians, and how much the start takes beyond its share of the import."""
    imported, first = statistics.median(imports) * 1000, statistics.median(starts) * 1000
    return {"import_ms": imported, "first_ms": first, "beyond_ms": first - SLACK * imported}


def import_seconds(module: str, environment: Mapping[str, str]) -> float:
    """What an interpreter takes from its start to its end if it imports the application and nothing else."""
    began = time.monotonic()
    subprocess.run([str(PYTHON), "-c", f"import {module}"], env=environment, stdin=subprocess.DEVNULL, check=True)
    return time.monotonic() - began
