"""Measures the HTTP client beside httpx, httpx2 and aiohttp against one local server of Go: `python bench/calls.py`."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import machine
from provision import BENCH, ORIGIN, PYTHON, provision, say

#: Whom: `null` is httpx over a transport that answers by itself.
CLIENTS = {"get": ("awaitd", "httpx", "httpx2", "aiohttp", "null"), "large": ("awaitd", "httpx")}

Samples = dict[str, list[float]]


@contextmanager
def origin() -> Iterator[str]:
    process = subprocess.Popen([str(ORIGIN)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield f"http://{process.stdout.readline().strip()}/"
    finally:
        process.kill()
        process.wait()


def measure(job: str, url: str, rounds: int, seconds: int) -> tuple[Samples, Samples]:
    """Interleaved rounds: rates, and microseconds of Python's process."""
    names = CLIENTS[job]
    rates: Samples = {name: [] for name in names}
    used: Samples = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            command = [str(PYTHON), str(BENCH / "apps" / "calling.py"), name, job, url, str(seconds)]
            measured = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            rates[name].append(measured["rate"])
            used[name].append(measured["cpu"])
            say(f"  round {number + 1} {name}: {measured['rate']:,.0f}, {measured['cpu']:,.0f} µs")
    return rates, used


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def verdict(found: float, asked: float, what: str, most: bool = False) -> str:
    met = found <= asked if most else found >= asked
    return f"{found:.2f} × {what} (asked {asked:g}: {'met' if met else 'missed'})"


def report(job: str, rates: Samples, used: Samples) -> list[str]:
    """The lines of the table."""
    if job == "large":
        return [
            f"| 1 GB in a stream, MB/s | {name} | {statistics.median(rates[name]):,.0f} | | "
            + (verdict(ratio(rates["awaitd"], rates["httpx"]), 2, "httpx") if name == "awaitd" else "")
            + " |"
            for name in CLIENTS[job]
        ]
    said = "; ".join(
        (
            verdict(ratio(rates["awaitd"], rates["httpx"]), 18, "httpx"),
            verdict(ratio(rates["awaitd"], rates["aiohttp"]), 0.75, "aiohttp"),
            verdict(ratio(used["awaitd"], used["null"]), 1.2, "null's CPU", most=True),
        )
    )
    return [
        f"| GET, 100 at once, requests/s | {name} | {statistics.median(rates[name]):,.0f} | "
        f"{statistics.median(used[name]):,.0f} | {said if name == 'awaitd' else ''} |"
        for name in CLIENTS[job]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(CLIENTS), metavar="ROW,…", help=", ".join(CLIENTS))
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds; the median counts (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="length of each window of `get` (default 3)")
    asked = parser.parse_args()
    if unknown := set(asked.only.split(",")) - set(CLIENTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(CLIENTS)}")
    provision({"awaitd"})
    lines = []
    with origin() as url:
        for job in asked.only.split(","):
            say(job)
            lines += report(job, *measure(job, url, asked.rounds, asked.seconds))
    facts = machine.facts()
    where = ", ".join(str(facts[key]) for key in ("date", "cpu", "cpus", "kernel", "python", "commit"))
    print(f"Median of {asked.rounds} rounds of {asked.seconds} s; {where}\n")
    print("| what | client | rate | Python's CPU, µs each | awaitd is |\n| --- | --- | --- | --- | --- |")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
