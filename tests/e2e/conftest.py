"""Fixtures of the end-to-end tests: a real browser. The server as a process is in ../conftest.py.

Environment (see also ../harness.py):
DATABASE_URL        run the board's tests on this PostgreSQL database (emptied by nobody) instead of a new SQLite file
CI                  `true`: a missing browser is a failure, not a skip
SCREENSHOTS         a folder that keeps pictures of the pages
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from browser import CHROMEDRIVER, CHROMIUM, TakePicture, start_browser


@pytest.fixture
def browser_flags() -> tuple[str, ...]:
    """Flags of the browser; a module that needs some has a fixture of this name."""
    return ()


@pytest.fixture
def browser(tmp_path: Path, browser_flags: tuple[str, ...]) -> Iterator[webdriver.Chrome]:
    yield from _running(tmp_path / "profile", browser_flags)


@pytest.fixture
def other_browser(tmp_path: Path, browser_flags: tuple[str, ...]) -> Iterator[webdriver.Chrome]:
    """A second one, of somebody else."""
    yield from _running(tmp_path / "other profile", browser_flags)


def _running(profile: Path, flags: tuple[str, ...]) -> Iterator[webdriver.Chrome]:
    if not (CHROMIUM and CHROMEDRIVER):
        missing = "needs the packages chromium and chromium-driver (apt-get install chromium chromium-driver)"
        pytest.fail(missing, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(missing)
    driver = start_browser(profile, *flags)
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def picture(browser: webdriver.Chrome) -> TakePicture:
    """`picture("board-light")` keeps a picture of the page when SCREENSHOTS names a folder."""

    def take(name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            browser.save_screenshot(str(Path(folder) / f"{name}.png"))

    return take
