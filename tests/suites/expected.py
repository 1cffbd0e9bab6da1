"""What is known of the suites' tests: which can't pass through a server, and why; and what a run has found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


class Tally:
    """The outcome of each test of a run, and how many requests it has sent to the server."""

    def __init__(self, tests: Mapping[str, Mapping[str, Any]]) -> None:
        self.outcome = {test: str(found["outcome"]) for test, found in tests.items()}
        self.requests = {test: int(found["requests"]) for test, found in tests.items()}

    def __str__(self) -> str:
        count = Counter(self.outcome.values())
        served = sum(outcome == "passed" and self.requests[test] > 0 for test, outcome in self.outcome.items())
        requests, skipped = sum(self.requests.values()), count["skipped"] + count["xfailed"]
        return (
            f"{served} passed with {requests} requests, {count['failed']} failed, {count['not run']} not run, "
            f"{skipped} skipped by the suite; {count['passed'] - served} passed without a request"
        )


class Expected:
    """The entries of one suite in expected.toml: a reason, tests, and whether they are run at all.

    A test is named as in the report; without the `[...]` of its parameters, all of them are meant.
    """

    def __init__(self, entries: Sequence[Mapping[str, Any]]) -> None:
        self.run = [test for entry in entries if entry.get("run", True) for test in entry["tests"]]
        self.not_run = [test for entry in entries if not entry.get("run", True) for test in entry["tests"]]

    def wrong(self, tally: Tally, whole: bool) -> list[str]:
        """What is not as listed, a line for each. Of a part of a suite, no test is missed."""
        failed = {test for test, outcome in tally.outcome.items() if outcome == "failed"}
        known = set(self.run)
        lines = [f"FAILED, and not in expected.toml: {test}" for test in sorted(failed) if not names(test) & known]
        for listed in self.run:
            meant = {test for test in tally.outcome if listed in names(test)}
            lines += [f"PASSED, and in expected.toml: {test}" for test in sorted(meant - failed)]
        if whole:
            there = {name for test in tally.outcome for name in names(test)}
            lines += [
                f"in expected.toml, and nowhere else: {listed}" for listed in [*self.run, *self.not_run] if listed not in there
            ]
        return lines


def names(test: str) -> set[str]:
    """How a test may be named in expected.toml."""
    return {test, test.partition("[")[0]}
