"""Ratios, medians and verdicts."""

from collections.abc import Sequence

import pytest

from measure import RowResult
from rows import ROWS
from samples import Sample
from stats import figure, ratio
from targets import TARGETS, Target, Verdict, best, judge, verdict

CPU = next(t for t in TARGETS if t.peers == ("nginx",))


def samples(*cpu: float, worker: float = 0.0) -> list[Sample]:
    return [Sample(i, {"cpu_us": c, "rate": 1000 / c}, {"worker": worker}) for i, c in enumerate(cpu)]


def result(**servers: Sequence[Sample]) -> RowResult:
    return RowResult(ROWS["hello"], {name: list(many) for name, many in servers.items()})


def test_ratio_pairs_rounds_so_that_a_slow_round_drops_out() -> None:
    ours, theirs = samples(10, 20, 11), samples(8, 16, 8)
    assert ratio(ours, "cpu_us", theirs, "cpu_us").values == (1.25, 1.25, 1.375)
    assert ratio(ours, "cpu_us", theirs, "cpu_us").median == 1.25


def test_ratio_leaves_out_rounds_that_one_side_lacks() -> None:
    assert ratio(samples(10, 20), "cpu_us", samples(5), "cpu_us").values == (2.0,)


def test_figure_reads_a_role() -> None:
    f = figure(samples(1, 2, 3, worker=2.7), "role:worker")
    assert (f.median, f.low, f.high) == (2.7, 2.7, 2.7)
    assert figure(samples(1), "role:server").median == 0


@pytest.mark.parametrize(("ours", "word"), [((12.0, 13.0, 14.0), "met"), ((12.0, 13.1, 14.0), "MISSED")])
def test_the_median_decides_and_the_limit_itself_is_met(ours: tuple[float, ...], word: str) -> None:
    v = verdict(CPU, result(awaitd=samples(*ours), nginx=samples(10, 10, 10)), 1.3)
    assert v.word == word


def test_rounds_that_hold_are_counted() -> None:
    v = verdict(CPU, result(awaitd=samples(12, 13, 14), nginx=samples(10, 10, 10)), 1.3)
    assert v.rounds == "2/3"


def test_at_least_turns_the_comparison_round() -> None:
    t = Target("", "hello", "rate", 1.5, ("uvicorn",), at_least=True)
    assert verdict(t, result(awaitd=samples(10), uvicorn=samples(16)), 1.5).met
    assert not verdict(t, result(awaitd=samples(10), uvicorn=samples(14)), 1.5).met


def test_the_best_peer_is_the_mark() -> None:
    assert best({"a": samples(20), "b": samples(18, 19, 30)}, "cpu_us", highest=False) == "b"
    assert best({"a": samples(20), "b": samples(18, 19, 30)}, "rate", highest=True) == "b"


def test_a_missing_peer_leaves_the_figure_unmeasured_rather_than_easier() -> None:
    t = Target("", "hello", "cpu_us", 0.5, ("uvicorn", "granian"))
    some = result(awaitd=samples(9), uvicorn=samples(20))
    some.missing["granian"] = "void: status 500"
    v = verdict(t, some, 0.5)
    assert (v.word, v.met, v.reason) == ("not measured", False, "granian void: status 500")


def test_awaitd_may_have_another_name_in_a_row() -> None:
    t = Target("", "hello", "cpu_us", 1.0, ("uwsgi@uwsgi_pass",), ours="awaitd@uwsgi_pass")
    both = result(**{"awaitd@uwsgi_pass": samples(9), "uwsgi@uwsgi_pass": samples(10), "awaitd": samples(99)})
    assert (verdict(t, both, 1.0).word, verdict(t, both, 1.0).peer) == ("met", "uwsgi by uwsgi_pass")
    assert verdict(t, result(awaitd=samples(9)), 1.0).reason == "awaitd by uwsgi_pass was not asked for"


def test_without_awaitd_nothing_is_met() -> None:
    v = verdict(CPU, result(nginx=samples(8)), 1.3)
    assert (v.word, v.reason) == ("not measured", "awaitd was not asked for")


def test_limits_are_lower_from_3_14_on() -> None:
    hello = {"hello": result(awaitd=samples(12), nginx=samples(10))}
    limits: dict[tuple[int, int], list[Verdict]] = {python: judge(hello, python) for python in ((3, 11), (3, 14))}
    assert [v.limit for v in limits[3, 11]] == [1.3, 0.5, 3.5]
    assert [v.limit for v in limits[3, 14]] == [1.1, 0.5, 2.0]


def test_a_row_can_be_held_against_another_of_the_same_server() -> None:
    t = Target("", "headers", "cpu_us", 2.0, base_row="hello")
    v = verdict(t, result(awaitd=samples(18, 20, 23)), 2.0, result(awaitd=samples(10, 10, 10)))
    assert (v.word, v.rounds, v.peer) == ("met", "2/3", "its own in hello")
    assert v.measured is not None
    assert v.measured.values == (1.8, 2.0, 2.3)


def test_without_the_other_row_nothing_is_measured() -> None:
    t = Target("", "headers", "cpu_us", 2.0, base_row="hello")
    absent, void = result(nginx=samples(8)), result(nginx=samples(8))
    void.missing["awaitd"] = "void: status 500"
    reasons = [verdict(t, result(awaitd=samples(18)), 2.0, base).reason for base in (None, absent, void)]
    assert reasons == [
        "the row hello was not asked for", "awaitd in hello was not asked for", "awaitd in hello void: status 500",
    ]  # fmt: skip
    assert verdict(t, result(awaitd=samples(18)), 2.0).word == "not measured"


def test_judge_finds_the_other_row() -> None:
    of_100 = {"headers": result(awaitd=samples(18))}
    assert [v.word for v in judge(of_100, (3, 11))] == ["not measured"]
    both = {**of_100, "hello": result(awaitd=samples(10), nginx=samples(10))}
    assert [v.word for v in judge(both, (3, 11)) if v.target.row == "headers"] == ["met"]


def test_every_target_names_rows_and_servers_of_them() -> None:
    for t in TARGETS:
        assert {t.ours, *t.peers} <= set(ROWS[t.row].servers)
        assert not t.base_row or "awaitd" in ROWS[t.base_row].servers
