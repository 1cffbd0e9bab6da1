"""One server for each framework, started when its first test runs and stopped after its last; and the table at the end."""

from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import pytest

import environment
from frameworks import FRAMEWORKS, Framework
from harness import Server, serve

APPS = Path(__file__).parent / "apps"
_outcomes: dict[str, dict[str, bool]] = {}  # framework → assertion → did it pass?


@pytest.fixture(scope="session")
def venv() -> Path:
    return environment.provide()


@pytest.fixture(scope="session")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that are served: one of text, and one that is longer than what may be under way to a client."""
    folder = tmp_path_factory.mktemp("static")
    (folder / "style.css").write_text("body::before { content: 'Grüße' }\n", encoding="utf-8")
    (folder / "long.bin").write_bytes(bytes(range(256)) * 4096)
    return folder


@pytest.fixture(scope="module", params=FRAMEWORKS, ids=lambda framework: framework.name)
def framework(request: pytest.FixtureRequest) -> Framework:
    return request.param


@pytest.fixture(scope="module")
def server(framework: Framework, venv: Path, static: Path) -> Iterator[Server]:
    env = {"VIRTUAL_ENV": str(venv), "STATIC": str(static)}
    with serve(framework.target, APPS, *framework.options, env=env) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=10) as client:
        yield client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes the outcome for the table; a failed test shows what its server said."""
    report = yield
    if isinstance(item, pytest.Function) and "framework" in item.fixturenames:
        framework, assertion = item.callspec.params["framework"], item.originalname.removeprefix("test_")
        row = _outcomes.setdefault(framework.name, {})
        row[assertion] = row.get(assertion, True) and not report.failed
        if report.failed and "server" in item.funcargs:
            report.sections.append((framework.target, item.funcargs["server"].output()[-20000:]))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A row for each framework that was served, a column for each assertion; `-`: there is no such test."""
    if not _outcomes:
        return
    versions = environment.versions()
    columns = list(dict.fromkeys(assertion for row in _outcomes.values() for assertion in row))
    table = [["", *columns], ["---"] * (len(columns) + 1)]
    for framework in FRAMEWORKS:
        if outcomes := _outcomes.get(framework.name):
            cells = [{True: "ok", False: "FAIL", None: "-"}[outcomes.get(column)] for column in columns]
            table.append([f"{framework.name} {versions[framework.distribution]}", *cells])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    terminalreporter.section("frameworks")
    for row in table:  # in Markdown, as docs/reference/testing.md has it
        terminalreporter.line("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
