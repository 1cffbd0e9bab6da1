"""What the tests of process life have in common: the application beside them, and named pipes to meet it at."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Server, StartServer
from meeting import Gate

HERE = Path(__file__).parent


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe. Who opens it waits for who opens the other side."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate for requests to wait at."""
    with Gate(tmp_path / "gate") as made:
        yield made


@pytest.fixture
def run(launch: StartServer, tmp_path: Path) -> StartServer:
    """`run("--workers", "2")` starts the application with options and waits until it is ready."""

    def start(*options: str, target: str = "app:app", app_dir: Path = HERE, ready: bool = True, **env: str) -> Server:
        address = [] if {"--uds", "--bind", "--fd"} & set(options) else ["--port", "0"]
        notes = {"NOTES": str(tmp_path / "notes")}
        server = launch(target, "--app-dir", str(app_dir), *address, *options, env=notes | env)
        if ready:
            server.wait_ready()
        return server

    return start


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What came of each storm, and how to have it again."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    for line in (value for report in reports for name, value in report.user_properties if name == "storm"):
        terminalreporter.write_line(line)
