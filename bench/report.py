"""Writes a run as JSON (everything) and as Markdown (medians, spreads, ratios, targets)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

from measure import Effort, RowResult, Sample
from stats import Figure, figure, ratio
from targets import BEST_ASGI, Verdict, best

NOISY = 0.05  # of the machine used by something else
LATE = 1000.0  # µs by which the open-loop client itself may be late at p99
Facts = Mapping[str, object]
Results = Mapping[str, RowResult]

# figure, heading; the first is the headline, which is also split by process.
COLUMNS = {
    "load": (
        ("cpu_us", "CPU µs/request"),
        ("rate", "requests/s"),
        ("p50", "p50 µs"),
        ("p99", "p99 µs"),
        ("p999", "p99.9 µs"),
        ("peak_rss_mb", "peak RSS MB"),
        ("pss_mb", "PSS MB"),
    ),
    "idle": (("largest_each", "bytes each"), ("rss_each", "RSS"), ("pss_each", "PSS"), ("private_dirty_each", "Private_Dirty")),
    "slow": (
        ("p99_beside", "p99 µs beside them"),
        ("p99_alone", "p99 µs alone"),
        ("growth", "beside / alone"),
        ("p50_beside", "p50 µs beside them"),
        ("p50_alone", "p50 µs alone"),
        ("open", "open at the end"),
        ("cut", "cut off"),
    ),
    "start": (("rss_mb", "RSS MB"), ("pss_mb", "PSS MB"), ("seconds", "first reply after s")),
}


def markdown(facts: Facts, effort: Effort, results: Results, verdicts: Sequence[Verdict]) -> str:
    """The whole report."""
    parts = [heading(facts, effort), noise(results), targets(verdicts)]
    parts += [table(result, facts) for result in results.values()]
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(facts: Facts, effort: Effort) -> str:
    state = " with uncommitted changes" if facts["uncommitted"] else ""
    binary = f" AWAITD_BIN={facts['awaitd_bin']}." if facts["awaitd_bin"] else ""
    return (
        f"# Bench of {facts['date']}\n\n"
        f"{facts['cpus']} × {facts['cpu']}, {facts['memory_mb']} MB, Linux {facts['kernel']}, {facts['system']}; "
        f"CPython {facts['python']}, {facts['nginx']}, wrk {facts['wrk']}. "
        f"Commit {facts['commit'] or 'unknown'}{state}.{binary}\n\n"
        f"Median (lowest–highest) of {effort.rounds} interleaved rounds of {effort.seconds} s, seed {effort.seed}; "
        "one worker, access logs off. The load generator shares the machine: compare CPU per request first. "
        "Method and conditions: bench/README.md."
    )


def noise(results: Results) -> str:
    """Says how quiet the machine was: the reader's reason to believe the rest."""
    samples = [s for r in results.values() for many in r.samples.values() for s in many if "foreign" in s.figures]
    if not samples:
        return ""
    noisy = sum(s.figures["foreign"] > NOISY for s in samples)
    late = sum(s.figures["client_late_p99_us"] > LATE for s in samples)
    lines = [
        f"Other programs used more than {NOISY:.0%} of the machine in {noisy} of {len(samples)} measured windows"
        + (" – **not a quiet machine, don't quote these figures**." if noisy > len(samples) / 10 else ".")
    ]
    if late:
        lines.append(f"Windows in which the open-loop client itself was late by over {LATE / 1000:.0f} ms at p99: {late}.")
    return " ".join(lines)


def targets(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return ""
    lines = [
        "## Figures to hold",
        "",
        "| figure | limit | measured | rounds that hold it | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for v in verdicts:
        sign = "≥" if v.target.at_least else "≤"
        peer = f" of {v.peer}" if v.peer else ""
        measured = f"{spread(v.measured)} {v.target.unit}{peer}" if v.measured else v.reason
        word = v.word if v.met else f"**{v.word}**"
        lines.append(f"| {v.target.text} | {sign} {v.limit:g} {v.target.unit} | {measured} | {v.rounds} | {word} |")
    return "\n".join(lines)


def table(result: RowResult, facts: Facts) -> str:
    row, samples = result.row, result.samples
    columns = COLUMNS[row.kind]
    headline = columns[0][0] if row.kind != "idle" else "rss_each"
    bases = ratio_bases(result)
    parts = [split] if any(s.roles for many in samples.values() for s in many) else []
    headings = [
        "server",
        *(h for _, h in columns[:1]),
        *("of which" for _ in parts),
        *(h for _, h in columns[1:]),
        *(f"× {b}" for b in bases),
    ]
    lines = [f"## {row.name}: {row.title}", "", line(headings), line(["---"] * len(headings))]
    for name in sorted(samples, key=lambda n: figure(samples[n], columns[0][0]).median):
        many = samples[name]
        cells = [title(name, facts), *(spread(figure(many, f)) for f, _ in columns[:1]), *(part(many) for part in parts)]
        cells += [spread(figure(many, f)) if f == headline else plain(figure(many, f).median) for f, _ in columns[1:]]
        cells += [spread(ratio(many, columns[0][0], samples[base], columns[0][0])) for base in bases]
        lines.append(line(cells))
    notes = [f"{title(name, facts)}: {reason}." for name, reason in result.missing.items()]
    notes += [
        f"{name} uses CPU while idle; it ran only during its own turns."
        for name, many in samples.items()
        if many[0].figures.get("burns_idle")
    ]
    return "\n".join([*lines, *(f"\n{note}" for note in notes)])


def ratio_bases(result: RowResult) -> list[str]:
    """The floor and the best ASGI peer, where the row has them; only load rows compare by ratio."""
    if result.row.kind != "load":
        return []
    peers = {p: result.samples[p] for p in BEST_ASGI if p in result.samples}
    if result.row.target.endswith(":wsgi"):
        peers = {p: s for p, s in result.samples.items() if p not in {"nginx", "awaitd"}}
    floor = ["nginx"] if "nginx" in result.samples else []
    return floor + ([best(peers, "cpu_us", highest=False)] if peers else [])


def title(name: str, facts: Facts) -> str:
    packages = cast(Mapping[str, str], facts["packages"])
    versions = {k.lower(): v for k, v in packages.items()}
    version = versions.get(name, "")
    shown = f"{name} {version}".strip()
    return f"**{shown}**" if name == "awaitd" else shown


def split(samples: Sequence[Sample]) -> str:
    """The headline by process role; a role that used nothing (a master that only waits) is left out."""
    medians = {role: figure(samples, f"role:{role}").median for role in sorted({r for s in samples for r in s.roles})}
    return ", ".join(f"{role} {plain(median)}" for role, median in medians.items() if abs(median) >= 0.005)


def spread(f: Figure) -> str:
    if not f.values:
        return "–"
    return plain(f.median) if f.low == f.high else f"{plain(f.median)} ({plain(f.low)}–{plain(f.high)})"


def plain(number: float) -> str:
    """Three significant digits at least, no exponent."""
    size = abs(number)
    return f"{number:.2f}" if size < 10 else f"{number:.1f}" if size < 100 else f"{number:,.0f}"


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def document(facts: Facts, effort: Effort, results: Results, verdicts: Sequence[Verdict]) -> str:
    """Every sample of every round as JSON."""
    rows = {
        name: {
            "title": r.row.title,
            "connections": r.row.connections,
            "rate": r.row.rate,
            "samples": {server: [asdict(s) for s in many] for server, many in r.samples.items()},
            "missing": r.missing,
        }
        for name, r in results.items()
    }
    judged = [
        {
            "text": v.target.text,
            "limit": v.limit,
            "at_least": v.target.at_least,
            "unit": v.target.unit,
            "peer": v.peer,
            "measured": v.measured.median if v.measured else None,
            "rounds": v.rounds,
            "verdict": v.word,
            "reason": v.reason,
        }
        for v in verdicts
    ]
    whole = {"facts": facts, "effort": asdict(effort), "targets": judged, "rows": rows}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def free_stem(directory: Path, date: str) -> Path:
    """DATE, or DATE-2, DATE-3 …: a result is never overwritten."""
    directory.mkdir(parents=True, exist_ok=True)
    names = (date if n == 1 else f"{date}-{n}" for n in range(1, 1000))
    return next(directory / n for n in names if not (directory / f"{n}.json").exists())
