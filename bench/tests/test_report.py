"""The report: nothing that was lost or missed may be absent from it."""

import json
from pathlib import Path

import report
from measure import Effort, RowResult, cpu_figures
from rows import ROWS
from samples import Sample
from targets import judge

FACTS: dict[str, object] = {
    "date": "2026-11-23T10:00:00+00:00", "cpus": 2, "cpu": "CPU", "memory_mb": 1000, "kernel": "6", "system": "Debian",
    "python": "3.11.7", "nginx": "nginx/1.22", "wrk": "4.1", "commit": "abc", "uncommitted": False, "awaitd_bin": "",
    "packages": {"awaitd": "0.1", "granian": "2.8.7", "uvicorn": "0.54.0", "pyvoy": "1.3.0"},
}  # fmt: skip
EFFORT = Effort(rounds=3, seconds=None, connections=None, seed=1)
ZEROES = dict.fromkeys(("rate", "p50", "p99", "p999", "peak_rss_mb", "pss_mb", "client_late_p99_us", "burns_idle"), 0.0)


def samples(*cpu: float, foreign: float = 0.0) -> list[Sample]:
    return [Sample(i, {**ZEROES, "cpu_us": c, "foreign": foreign}, {"worker": c, "master": 0.0}) for i, c in enumerate(cpu)]


def hello(foreign: float = 0.0) -> dict[str, RowResult]:
    many = {"awaitd": samples(10, 11, 12, foreign=foreign), "nginx": samples(8, 8, 8), "granian": samples(20, 20, 20)}
    return {"hello": RowResult(ROWS["hello"], many, {"pyvoy": "not available: no wheel", "uvicorn": "void: status 500"})}


def text(results: dict[str, RowResult]) -> str:
    return report.markdown(FACTS, EFFORT, results, judge(results, (3, 11)))


def test_table_is_sorted_and_has_spreads_and_ratios() -> None:
    lines = [line for line in text(hello()).splitlines() if line.startswith(("| nginx", "| **awaitd", "| granian"))]
    assert [line.split("|")[1].strip() for line in lines] == ["nginx", "**awaitd 0.1**", "granian 2.8.7"]
    assert "11.0 (10.0–12.0)" in lines[1]
    assert "1.38 (1.25–1.50)" in lines[1]
    assert "0.55 (0.50–0.60)" in lines[1]


def test_a_role_that_used_nothing_is_left_out() -> None:
    assert "master" not in text(hello())


def test_missed_and_missing_are_shown() -> None:
    shown = text(hello())
    assert "**MISSED**" in shown
    assert "**not measured**" in shown
    assert "pyvoy 1.3.0: not available: no wheel." in shown
    assert "uvicorn 0.54.0: void: status 500." in shown


def test_slow_senders_have_both_p99s_and_no_split() -> None:
    figures = dict.fromkeys(("p50_beside", "p50_alone", "cut"), 7.0)
    figures |= {
        "p99_beside": 450.0,
        "p99_alone": 300.0,
        "growth": 1.5,
        "open": 9999.0,
        "foreign": 0.2,
        "client_late_p99_us": 0.0,
    }
    slow = {"slow_senders": RowResult(ROWS["slow_senders"], {"awaitd": [Sample(0, figures, {})]})}
    shown = text(slow)
    assert "| **awaitd 0.1** | 450 | 300 | 1.50 | 7.00 | 7.00 | 9,999 | 7 |" in shown
    assert "| ≤ 2 × | 1.50 × | 1/1 | met |" in shown
    assert "in 1 of 1 measured windows" in shown


def cells(shown: str, start: str) -> list[str]:
    """The cells of the only line that starts so."""
    (found,) = [line for line in shown.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in found.split("|")[1:-1]]


def behind() -> dict[str, RowResult]:
    def one(own: float, nginx: float, rate: float) -> list[Sample]:
        used = {"nginx": nginx, "worker": own}
        return [Sample(0, {**ZEROES, **cpu_figures(used, 1), "rate": rate, "foreign": 0.0}, used)]

    many = {"awaitd@uwsgi_pass": one(10, 20, 300), "uwsgi@uwsgi_pass": one(20, 30, 200)}
    return {"behind_nginx": RowResult(ROWS["behind_nginx"], many, {"gunicorn@proxy_pass": "not available: no wheel"})}


def test_behind_nginx_the_servers_own_figures_are_beside_the_whole() -> None:
    shown = text(behind())
    assert cells(shown, "| server")[1:7] == [
        "app server: requests per CPU-second",
        "whole: requests per CPU-second",
        "app server: CPU µs/request",
        "whole: CPU µs/request",
        "of which",
        "requests/s",
    ]
    assert cells(shown, "| **awaitd")[:7] == [
        "**awaitd 0.1** by `uwsgi_pass`", "100,000", "33,333", "10.0", "30.0", "nginx 20.0, worker 10.0", "300",
    ]  # fmt: skip
    assert cells(shown, "| **awaitd")[-3:] == ["2.00", "1.67", "1.50"]
    assert shown.index("| **awaitd") < shown.index("| uwsgi by `uwsgi_pass`")
    assert "gunicorn by `proxy_pass`: not available: no wheel." in shown
    assert "| 2.00 × of uwsgi by uwsgi_pass | 1/1 | met |" in shown


def test_ratios_without_their_base_are_left_out() -> None:
    results = behind()
    del results["behind_nginx"].samples["uwsgi@uwsgi_pass"]
    assert cells(text(results), "| server")[-1] == "p99 µs"


def test_waiting_is_ranked_by_requests_per_second() -> None:
    def one(rate: float) -> list[Sample]:
        return [Sample(0, {**ZEROES, "cpu_us": rate, "rate": rate, "of_ideal": rate / 400, "foreign": 0.0}, {"worker": rate})]

    shown = text({"wsgi_wait": RowResult(ROWS["wsgi_wait"], {"uwsgi": one(300), "awaitd": one(390)})})
    assert cells(shown, "| **awaitd")[:3] == ["**awaitd 0.1**", "390", "0.97"]
    assert shown.index("| **awaitd") < shown.index("| uwsgi")
    assert "uwsgi is `--http-socket`, which ends the connection" in shown
    assert "bjoern and fastpysgi have no threads" in shown
    assert "| ≥ 0.95 × | 0.97 × | 1/1 | met |" in shown


def test_requests_that_fail_are_counted_and_only_none_is_met() -> None:
    def of(*failed: float) -> str:
        keys = [name for name, _ in report.VIEWS["reload"].columns]
        many = [Sample(i, {**dict.fromkeys(keys, 2.0), "failed": n}, {}) for i, n in enumerate(failed)]
        return text({"reload": RowResult(ROWS["reload"], {"awaitd": many})})

    shown = of(0, 0, 0)
    assert cells(shown, "| **awaitd")[1:4] == ["0", "2", "2.00"]
    assert "| ≤ 0 requests | 0 requests | 3/3 | met |" in shown
    assert "Rounds: 3 of 10 s, each with servers started afresh." in shown
    assert "| ≤ 0 requests | 1 (0–2) requests | 1/3 | **MISSED** |" in of(0, 1, 2)


def test_every_row_has_a_view() -> None:
    assert {row.view or row.kind for row in ROWS.values()} == set(report.VIEWS)


def test_a_noisy_machine_is_named() -> None:
    assert "in 0 of 9 measured windows." in text(hello())
    assert "in 3 of 9 measured windows – **not a quiet machine" in text(hello(foreign=0.2))


def test_json_keeps_every_sample() -> None:
    results = hello()
    said = json.loads(report.document(FACTS, EFFORT, results, judge(results, (3, 11))))
    assert [s["figures"]["cpu_us"] for s in said["rows"]["hello"]["samples"]["awaitd"]] == [10, 11, 12]
    assert said["rows"]["hello"]["missing"]["uvicorn"] == "void: status 500"
    assert {t["verdict"] for t in said["targets"]} == {"MISSED", "not measured"}


def test_a_result_is_never_overwritten(tmp_path: Path) -> None:
    assert report.free_stem(tmp_path, "2026-11-23").name == "2026-11-23"
    (tmp_path / "2026-11-23.json").touch()
    assert report.free_stem(tmp_path, "2026-11-23").name == "2026-11-23-2"


def test_numbers_keep_three_digits() -> None:
    assert [report.plain(n) for n in (0.0, 9.876, 98.76, 987.6, 98765.4, -3.0)] == [
        "0.00", "9.88", "98.8", "988", "98,765", "-3.00",
    ]  # fmt: skip
