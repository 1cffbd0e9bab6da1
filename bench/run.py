"""Measures awaitd beside its peers: `python bench/run.py [--only hello,fastapi] [--servers awaitd,uvicorn]`."""

import argparse
import random
import resource
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import machine
import report
from load import LoadFailed
from measure import Effort, RowResult, measure
from provision import BENCH, Missing, provision, say
from rows import ROWS
from servers import SERVERS
from targets import judge


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=names(set(ROWS)), default=list(ROWS), metavar="ROW,…", help=", ".join(ROWS))
    parser.add_argument("--servers", type=names(set(SERVERS)), default=list(SERVERS), metavar="NAME,…", help=", ".join(SERVERS))
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds; the median counts (default 7)")
    parser.add_argument("--seconds", type=int, help="length of each measured window (default 5; mixed 60, reload 10)")
    parser.add_argument("--connections", type=int, help="instead of 64; rows with another number keep theirs")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the order in each round")
    parser.add_argument("--out", type=Path, help="path without suffix (default bench/results/DATE)")
    return parser.parse_args()


def names(known: set[str]) -> Callable[[str], list[str]]:
    """A parser of comma-separated names of `known`."""

    def parse(text: str) -> list[str]:
        asked = text.split(",")
        if unknown := [n for n in asked if n not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        return asked

    return parse


def measure_all(only: list[str], servers: list[str], effort: Effort) -> dict[str, RowResult]:
    wanted = [s for s in SERVERS if s in servers or s.split("@")[0] in servers]  # a name takes its ways behind nginx along
    lost = provision({package for s in wanted for package in SERVERS[s].needs})
    results = {}
    for name in only:
        row = ROWS[name]
        say(f"{name}: {row.title}")
        asked = [s for s in row.servers if s in wanted]
        without = absent(asked, lost)
        results[name] = measure(row, [s for s in asked if s not in without], effort)
        results[name].missing.update(without)
    return results


def absent(servers: list[str], lost: Mapping[str, str]) -> dict[str, str]:
    """Why each of the servers that lack something can't be measured."""
    return {s: f"not available: {lost[p]}" for s in servers for p in SERVERS[s].needs if p in lost}


def main() -> int:
    asked = arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    effort = Effort(asked.rounds, asked.seconds, asked.connections, asked.seed)
    try:
        results = measure_all(asked.only, asked.servers, effort)
    except (Missing, LoadFailed) as error:
        say(f"error: {error}")
        return 1
    facts = machine.facts()
    verdicts = judge(results, machine.python_version(facts))
    stem = asked.out or report.free_stem(BENCH / "results", f"{datetime.now(UTC):%Y-%m-%d}")
    text = report.markdown(facts, effort, results, verdicts)
    Path(f"{stem}.md").write_text(text)
    Path(f"{stem}.json").write_text(report.document(facts, effort, results, verdicts))
    print(text)
    say(f"written: {stem}.json, {stem}.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
