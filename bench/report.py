"""Writes a run as JSON (everything) and as Markdown (medians, spreads, ratios, targets)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from measure import FRESH, Effort, RowResult
from rows import SECONDS
from samples import Sample
from servers import SERVERS
from stats import Figure, figure, ratio
from targets import BEST_ASGI, Verdict, best

NOISY = 0.05  # of the machine used by something else
LATE = 1000.0  # µs by which the open-loop client itself may be late at p99
COUNTED = {"requests"}  # units of targets that are whole numbers
Facts = Mapping[str, object]
Results = Mapping[str, RowResult]


@dataclass(frozen=True)
class View:
    """How a row is shown: columns of (figure, heading), best server first by `order`.

    After the column `split` comes its split by process. `spreads` are the figures whose range is shown. `ratios` are further
    columns, (figure, base server, heading): every server's figure divided by that of the base. `counts` are whole numbers.
    """

    order: str
    columns: tuple[tuple[str, str], ...]
    spreads: frozenset[str]
    split: str = ""
    highest: bool = False
    ratios: tuple[tuple[str, str, str], ...] = ()
    counts: frozenset[str] = frozenset()


LATENCIES = (("p50", "p50 µs"), ("p99", "p99 µs"))
MEMORY = (("peak_rss_mb", "peak RSS MB"), ("pss_mb", "PSS MB"))
PEER = "uwsgi@uwsgi_pass"

VIEWS = {
    "load": View(
        "cpu_us",
        (("cpu_us", "CPU µs/request"), ("rate", "requests/s"), *LATENCIES, ("p999", "p99.9 µs"), *MEMORY),
        frozenset({"cpu_us"}),
        split="cpu_us",
    ),
    "database": View(
        "cpu_us",
        (
            ("cpu_us", "CPU µs/request"),
            ("database_us", "PostgreSQL's"),
            ("client_us", "wrk's"),
            ("rate", "requests/s"),
            *LATENCIES,
            *MEMORY,
        ),
        frozenset({"cpu_us", "rate"}),
        split="cpu_us",
        ratios=(("rate", "uvicorn", "requests/s × uvicorn"),),
    ),
    "wait": View(
        "rate",
        (("rate", "requests/s"), ("of_ideal", "× the ideal"), *LATENCIES, ("cpu_us", "CPU µs/request"), *MEMORY),
        frozenset({"rate", "of_ideal"}),
        split="cpu_us",
        highest=True,
    ),
    "file": View(
        "per_cpu_second",
        (
            ("per_cpu_second", "requests per CPU-second"),
            ("cpu_us", "CPU µs/request"),
            ("rate", "requests/s"),
            *LATENCIES,
            *MEMORY,
        ),
        frozenset({"per_cpu_second"}),
        split="cpu_us",
        highest=True,
        ratios=(("per_cpu_second", "gunicorn", "× gunicorn"),),
    ),
    "behind": View(
        "own_per_cpu_second",
        (
            ("own_per_cpu_second", "app server: requests per CPU-second"),
            ("per_cpu_second", "whole: requests per CPU-second"),
            ("own_cpu_us", "app server: CPU µs/request"),
            ("cpu_us", "whole: CPU µs/request"),
            ("rate", "requests/s"),
            *LATENCIES,
        ),
        frozenset({"own_per_cpu_second", "per_cpu_second"}),
        split="cpu_us",
        highest=True,
        ratios=(
            ("own_per_cpu_second", PEER, "app server × uwsgi"),
            ("per_cpu_second", PEER, "whole × uwsgi"),
            ("rate", PEER, "requests/s × uwsgi"),
        ),
    ),
    "socket": View(
        "cpu_us",
        (("cpu_us", "CPU µs/message"), ("rate", "messages/s"), *LATENCIES, ("p999", "p99.9 µs"), *MEMORY),
        frozenset({"cpu_us"}),
        split="cpu_us",
        ratios=(("cpu_us", "awaitd", "× awaitd"),),
    ),
    "ws_idle": View(
        "pss_each",
        (("pss_each", "bytes each"), ("rss_each", "RSS"), ("private_dirty_each", "Private_Dirty"), ("pss_mb", "PSS MB")),
        frozenset({"pss_each"}),
        split="pss_each",
    ),
    "ws_broadcast": View(
        "per_cpu_second",
        (
            ("per_cpu_second", "messages per CPU-second"),
            ("cpu_us", "CPU µs/message"),
            ("user_us", "not in the kernel"),
            ("rate", "messages/s"),
            ("p50", "p50 ms"),
            ("p99", "p99 ms"),
        ),
        frozenset({"per_cpu_second"}),
        split="cpu_us",
        highest=True,
        ratios=(("per_cpu_second", "awaitd", "× awaitd"),),
    ),
    "idle": View(
        "largest_each",
        (("largest_each", "bytes each"), ("rss_each", "RSS"), ("pss_each", "PSS"), ("private_dirty_each", "Private_Dirty")),
        frozenset({"largest_each", "rss_each"}),
        split="largest_each",
    ),
    "slow": View(
        "p99_beside",
        (
            ("p99_beside", "p99 µs beside them"),
            ("p99_alone", "p99 µs alone"),
            ("growth", "beside / alone"),
            ("p50_beside", "p50 µs beside them"),
            ("p50_alone", "p50 µs alone"),
            ("open", "open at the end"),
            ("cut", "cut off"),
        ),
        frozenset({"p99_beside"}),
        counts=frozenset({"open", "cut"}),
    ),
    "start": View(
        "first_ms",
        (
            ("first_ms", "first reply after ms"),
            ("import_ms", "import ms"),
            ("beyond_ms", "beyond 1.2 × import ms"),
            ("rss_mb", "RSS MB"),
            ("pss_mb", "PSS MB"),
        ),
        frozenset({"first_ms", "beyond_ms", "rss_mb"}),
        split="rss_mb",
    ),
    "mixed": View(
        "p99",
        (
            ("p99", "p99 ms of the others"),
            ("p50", "p50"),
            ("p999", "p99.9"),
            ("max", "longest"),
            ("p50/wait", "p50 ms of those that wait"),
            ("p99/wait", "p99"),
            ("p50/burn", "p50 ms of those that burn"),
            ("p99/burn", "p99"),
        ),
        frozenset({"p99"}),
        ratios=(("p99", "awaitd", "p99 of the others × awaitd"),),
    ),
    "stuck": View(
        "replaced",
        (("answered", "504 after s"), ("replaced", "replaced after s")),
        frozenset({"answered", "replaced"}),
    ),
    "reload": View(
        "failed",
        (
            ("failed", "failed"),
            ("ended", "ended"),
            ("rate", "requests/s"),
            ("rate_alone", "undisturbed"),
            ("p50", "p50 ms"),
            ("p50_alone", "undisturbed"),
            ("p99", "p99 ms"),
            ("p99_alone", "undisturbed"),
            ("max", "longest ms"),
            ("max_alone", "undisturbed"),
            ("reload_s", "longest reload s"),
        ),
        frozenset({"failed", "p99"}),
        counts=frozenset({"failed", "ended"}),
    ),
    "preload": View(
        "many_mb",
        (
            ("one_mb", "1 worker: PSS MB"),
            ("many_mb", "zygote + 4 workers: PSS MB"),
            ("growth", "× 1 worker"),
            ("zygote_mb", "of which the zygote"),
            ("forked_mb", "each worker"),
        ),
        frozenset({"one_mb", "many_mb", "growth"}),
    ),
}


def markdown(facts: Facts, effort: Effort, results: Results, verdicts: Sequence[Verdict]) -> str:
    """The whole report."""
    parts = [heading(facts, effort), noise(results), targets(verdicts)]
    parts += [table(result, facts, effort) for result in results.values()]
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(facts: Facts, effort: Effort) -> str:
    state = " with uncommitted changes" if facts["uncommitted"] else ""
    binary = f" AWAITD_BIN={facts['awaitd_bin']}." if facts["awaitd_bin"] else ""
    return (
        f"# Bench of {facts['date']}\n\n"
        f"{facts['cpus']} × {facts['cpu']}, {facts['memory_mb']} MB, Linux {facts['kernel']}, {facts['system']}; "
        f"CPython {facts['python']}, {facts['nginx']}, wrk {facts['wrk']}. "
        f"Commit {facts['commit'] or 'unknown'}{state}.{binary}\n\n"
        f"Median (lowest–highest) of {effort.rounds} interleaved rounds of {effort.seconds or SECONDS} s, seed {effort.seed}; "
        "one worker, access logs off; a table says where it differs. "
        "The load generator shares the machine: compare CPU per request first. Method and conditions: bench/README.md."
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
        shown = count if v.target.unit in COUNTED else plain
        measured = f"{spread(v.measured, shown)} {v.target.unit}{peer}" if v.measured else v.reason
        word = v.word if v.met else f"**{v.word}**"
        lines.append(f"| {v.target.text} | {sign} {v.limit:g} {v.target.unit} | {measured} | {v.rounds} | {word} |")
    return "\n".join(lines)


def table(result: RowResult, facts: Facts, effort: Effort) -> str:
    row, samples = result.row, result.samples
    view = VIEWS[row.view or row.kind]
    ratios = tuple(r for r in view.ratios or usual_ratios(result) if r[1] in samples)
    headings = ["server"]
    for name, heading in view.columns:
        headings += [heading, "of which"] if name == view.split else [heading]
    headings += [heading for _, _, heading in ratios]
    lines = [f"## {row.name}: {row.title}", "", line(headings), line(["---"] * len(headings))]
    for server in sorted(samples, key=lambda n: figure(samples[n], view.order).median, reverse=view.highest):
        cells = [title(server, facts), *figures(samples[server], view)]
        cells += [spread(ratio(samples[server], name, samples[base], name)) for name, base, _ in ratios]
        lines.append(line(cells))
    return "\n".join([*lines, *(f"\n{note}" for note in notes(result, facts, effort))])


def figures(samples: Sequence[Sample], view: View) -> list[str]:
    """A server's cells, but for its name and the ratios."""
    cells = []
    for name, _ in view.columns:
        f = figure(samples, name)
        shown = count if name in view.counts else plain
        cells.append(spread(f, shown) if name in view.spreads else shown(f.median))
        if name == view.split:
            cells.append(split(samples))
    return cells


def notes(result: RowResult, facts: Facts, effort: Effort) -> list[str]:
    """What is said under a table: why a server is missing, and what has to be known of those that are there."""
    said = [rounds(result, effort)] if result.row.kind in FRESH and result.samples else []
    said += [f"{title(name, facts)}: {reason}." for name, reason in result.missing.items()]
    said += [
        f"{name} uses CPU while idle; it ran only during its own turns."
        for name, many in result.samples.items()
        if many[0].figures.get("burns_idle")
    ]
    said += [SERVERS[name].remark for name in result.row.servers if name in result.samples and SERVERS[name].remark]
    return said + list(result.row.remarks)


def rounds(result: RowResult, effort: Effort) -> str:
    """Of a row that has its own: how often it was measured, and how long where time is what it takes."""
    length = f" of {effort.window(result.row)} s" if result.row.rate else ""
    return f"Rounds: {max(map(len, result.samples.values()))}{length}, each with servers started afresh."


def usual_ratios(result: RowResult) -> tuple[tuple[str, str, str], ...]:
    """CPU to the floor and to the best peer, where the row has them; only load rows compare by ratio."""
    if result.row.kind != "load" or result.row.view:
        return ()
    peers = {p: result.samples[p] for p in BEST_ASGI if p in result.samples}
    if result.row.target.endswith(":wsgi"):
        peers = {p: s for p, s in result.samples.items() if p not in {"nginx", "awaitd"}}
    bases = ["nginx"] if "nginx" in result.samples else []
    bases += [best(peers, "cpu_us", highest=False)] if peers else []
    return tuple(("cpu_us", base, f"× {base}") for base in bases)


def title(name: str, facts: Facts) -> str:
    packages = cast(Mapping[str, str], facts["packages"])
    versions = {k.lower(): v for k, v in packages.items()}
    server = SERVERS[name]
    package = server.package or name
    shown = f"{name.removesuffix('@' + server.way)} {versions.get(package, '')}".strip()
    shown = f"**{shown}**" if package == "awaitd" else shown
    return f"{shown} by `{server.way}`" if server.way else shown


def split(samples: Sequence[Sample]) -> str:
    """The headline by process role; a role that used nothing (a master that only waits) is left out."""
    medians = {role: figure(samples, f"role:{role}").median for role in sorted({r for s in samples for r in s.roles})}
    return ", ".join(f"{role} {plain(median)}" for role, median in medians.items() if abs(median) >= 0.005)


def spread(f: Figure, shown: Callable[[float], str] | None = None) -> str:
    shown = shown or plain
    if not f.values:
        return "–"
    return shown(f.median) if f.low == f.high else f"{shown(f.median)} ({shown(f.low)}–{shown(f.high)})"


def plain(number: float) -> str:
    """Three significant digits at least, no exponent."""
    size = abs(number)
    return f"{number:.2f}" if size < 10 else f"{number:.1f}" if size < 100 else f"{number:,.0f}"


def count(number: float) -> str:
    """A number of things; the median of two rounds may be half of one."""
    return f"{number:,.0f}" if number == round(number) else f"{number:,.1f}"


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
