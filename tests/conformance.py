"""Runs every test that proves a line of what awaitd must do for HTTP/1.1 and ASGI, and prints how many did, line by line.

    make conformance            or, in an environment with the tests' requirements:
    python tests/conformance.py

The lines are the numbered ones of docs/reference/server-behavior.md. A test proves the lines that it cites, in a comment above
or inside it: `spec: http 13`. Exit code 1 if a test fails, or if a line has none that passes.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import tokenize
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "server-behavior.md"
FOLDERS = ("http", "process", "worker", "frameworks", "e2e")
CITATION = re.compile(r"spec:\s*http\s+([0-9][0-9,\s-]*)")
GO_TEST = re.compile(r"^func (Test\w+)\(", re.M)


def titles() -> dict[int, str]:
    """The lines and the words in bold that each begins with."""
    found = {}
    for text in PAGE.read_text().splitlines():
        if match := re.match(r"(\d+)\. (?:\*\*(.+?)\*\*)?(.*)", text):
            found[int(match[1])] = (match[2] or match[3]).strip(" .,:")
    return found


def numbers(text: str) -> set[int]:
    found: set[int] = set()
    for match in CITATION.finditer(text):
        for part in re.split(r"[,\s]+", match[1].strip()):
            first, _, last = part.partition("-")
            if first.isdigit():
                found.update(range(int(first), int(last or first) + 1))
    return found


def cited_in_python(path: Path) -> dict[str, set[int]]:
    """The lines that each test function of a file cites, in its comments and in those right above it."""
    with path.open("rb") as file:
        comments = {t.start[0]: t.string for t in tokenize.tokenize(file.readline) if t.type == tokenize.COMMENT}
    found: dict[str, set[int]] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            while first - 1 in comments:
                first -= 1
            lines = [text for at, text in comments.items() if first <= at <= (node.end_lineno or first)]
            found[node.name] = numbers("\n".join(lines))
    return found


class Results:
    """What came of the tests that cite a line."""

    def __init__(self) -> None:
        self.passed: Counter[int] = Counter()
        self.failed: dict[int, list[str]] = defaultdict(list)
        self.broken: list[str] = []

    def note(self, name: str, lines: set[int], passed: bool) -> None:
        if not passed:
            self.broken.append(name)
        for line in lines:
            if passed:
                self.passed[line] += 1
            else:
                self.failed[line].append(name)


class Plugin:
    """Keeps of a run only the tests that cite a line, and writes what came of them to a file."""

    def __init__(self) -> None:
        self.lines: dict[str, set[int]] = {}
        self.outcomes: dict[str, bool] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        cited: dict[Path, dict[str, set[int]]] = {}
        kept, dropped = [], []
        for item in items:
            if item.path not in cited:
                cited[item.path] = cited_in_python(item.path)
            lines = cited[item.path].get(getattr(item, "originalname", item.name), set())
            self.lines[item.nodeid] = lines
            (kept if lines else dropped).append(item)
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.skipped:
            self.outcomes[report.nodeid] = self.outcomes.get(report.nodeid, True) and report.passed

    def pytest_sessionfinish(self) -> None:
        outcomes = [[name, sorted(self.lines.get(name, ())), passed] for name, passed in self.outcomes.items()]
        Path(os.environ["AWAITD_CONFORMANCE"]).write_text(json.dumps(outcomes))


def run_python(results: Results) -> None:
    """Each folder in a process of its own, as it has a conftest.py of its own."""
    for folder in FOLDERS:
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            code = "import sys, pytest, conformance; sys.exit(pytest.main(sys.argv[1:], plugins=[conformance.Plugin()]))"
            environment = os.environ | {"AWAITD_CONFORMANCE": file.name, "PYTHONPATH": str(ROOT / "tests")}
            arguments = ["-q", "--no-header", str(ROOT / "tests" / folder)]
            print(f"tests/{folder}", flush=True)
            ended = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, env=environment, check=False)
            text = Path(file.name).read_text()
            if ended.returncode not in {0, 1, 5} or not text:
                results.broken.append(f"tests/{folder}: exit code {ended.returncode}")
                continue
            for name, lines, passed in json.loads(text):
                results.note(name, set(lines), passed)


def cited_in_go() -> dict[str, dict[str, set[int]]]:
    """By package folder and test: the lines cited in the comment above it, or inside."""
    found: dict[str, dict[str, set[int]]] = defaultdict(dict)
    for path in sorted(ROOT.glob("internal/*/*_test.go")):
        text = path.read_text()
        starts = [(match[1], comment_above(text, match.start())) for match in GO_TEST.finditer(text)]
        ends = [begin for _, begin in starts[1:]] + [len(text)]
        for (name, begin), end in zip(starts, ends, strict=False):
            if lines := numbers(text[begin:end]):
                found[str(path.parent.relative_to(ROOT))][name] = lines
    return found


def comment_above(text: str, at: int) -> int:
    """Where the comment right above a position begins."""
    while at > 0:
        begin = text.rfind("\n", 0, at - 1) + 1
        if not text[begin:at].startswith("//"):
            break
        at = begin
    return at


def run_go(results: Results) -> None:
    for folder, tests in cited_in_go().items():
        print(folder, flush=True)
        command = ["go", "test", "-count=1", "-json", "-run", f"^({'|'.join(tests)})$", f"./{folder}"]
        output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
        ended = [json.loads(line) for line in output.splitlines() if '"Test"' in line]
        parents = {event["Test"].rpartition("/")[0] for event in ended}
        for event in ended:
            if event["Action"] in {"pass", "fail"} and event["Test"] not in parents:
                name = event["Test"]
                results.note(f"{folder} {name}", tests[name.partition("/")[0]], event["Action"] == "pass")


def report(results: Results) -> bool:
    wanted, good = titles(), True
    width = max(map(len, wanted.values()))
    print()
    for line, title in wanted.items():
        failed = results.failed.get(line, [])
        verdict = f"{results.passed[line]:5} passed" + (f", {len(failed)} FAILED" if failed else "")
        good &= not failed and results.passed[line] > 0
        print(f"http {line:2}  {title:{width}}  {verdict}")
    for name in results.broken:
        print(f"FAILED {name}")
    proved = sum(results.passed[line] > 0 and line not in results.failed for line in wanted)
    print(f"\n{proved} of {len(wanted)} lines passed")
    return good and not results.broken


def main() -> int:
    results = Results()
    run_go(results)
    run_python(results)
    return 0 if report(results) else 1


if __name__ == "__main__":
    sys.exit(main())
