"""Fixtures of the end-to-end tests: the real server as a process, and a real browser.

Environment:
AWAITD_BIN          the binary under test (default: `awaitd` beside this Python, else on PATH)
AWAITD_TEST_SERVER  `uvicorn`: run the same tests over uvicorn (ASGI) and gunicorn (WSGI), to tell a test's fault from ours
DATABASE_URL        run the board's tests on this PostgreSQL database (emptied by nobody) instead of a new SQLite file
CI                  `true`: a missing browser is a failure, not a skip
SCREENSHOTS         a folder that keeps pictures of the pages
"""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from selenium import webdriver

from browser import CHROMEDRIVER, CHROMIUM, start_browser
from process import Server, serve

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
APPS = Path(__file__).parent / "apps"

_running: list[Server] = []

StartServer = Callable[..., Server]
TakePicture = Callable[[str], None]


@pytest.fixture(scope="module")
def start_server() -> Iterator[StartServer]:
    """`start_server("main:app", app_dir)` starts a server that is stopped after the module, and must then exit with 0."""
    with ExitStack() as servers:

        def start(target: str, app_dir: Path, *options: str, **env: str) -> Server:
            server = servers.enter_context(serve(target, app_dir, *options, env=env))
            _running.append(server)
            servers.callback(_running.remove, server)
            return server

        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its servers said."""
    report = yield
    if report.failed:
        for server in _running:
            report.sections.append((f"{server.command[0]} (pid {server.process.pid})", server.output()))
    return report


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    if not (CHROMIUM and CHROMEDRIVER):
        missing = "needs the packages chromium and chromium-driver (apt-get install chromium chromium-driver)"
        pytest.fail(missing, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(missing)
    driver = start_browser(tmp_path / "profile")
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(tmp_path / "profile", ignore_errors=True)


@pytest.fixture
def picture(browser: webdriver.Chrome) -> TakePicture:
    """`picture("board-light")` keeps a picture of the page when SCREENSHOTS names a folder."""

    def take(name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            browser.save_screenshot(str(Path(folder) / f"{name}.png"))

    return take
