"""What a run of a suite says of each test, for `run.py`: its outcome, and how many requests it has sent to the server."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from expected import names

RANK = ("passed", "not run", "skipped", "xfailed", "failed")  # what counts if phases of a test differ: the last


class Results:
    """Outcomes by test."""

    def __init__(self, requests: Callable[[], int]) -> None:
        self._requests = requests
        self._before = 0
        self._tests: defaultdict[str, dict[str, str | int]] = defaultdict(lambda: {"outcome": RANK[0], "requests": 0})

    def begin(self) -> None:
        self._before = self._requests()

    def add(self, test: str, outcome: str) -> None:
        found = self._tests[test]
        found["outcome"] = max(str(found["outcome"]), outcome, key=RANK.index)

    def end(self, test: str) -> None:
        self._tests[test]["requests"] = self._requests() - self._before

    def write(self) -> None:
        Path(os.environ["SUITES_REPORT"]).write_text(json.dumps(self._tests, indent=1))


def not_to_run() -> set[str]:
    """The tests that are not to be run."""
    return set(Path(os.environ["SUITES_SKIP"]).read_text().splitlines())


class Report:
    """The same as a pytest plugin."""

    def __init__(self, requests: Callable[[], int]) -> None:
        self._results = Results(requests)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        not_run = not_to_run()
        others = [item for item in items if names(item.nodeid) & not_run]
        for item in others:
            self._results.add(item.nodeid, "not run")
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._results.begin()
        try:
            return (yield)
        finally:
            self._results.end(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        expected = hasattr(report, "wasxfail") and report.skipped
        self._results.add(report.nodeid, "xfailed" if expected else report.outcome)

    def pytest_sessionfinish(self) -> None:
        self._results.write()
