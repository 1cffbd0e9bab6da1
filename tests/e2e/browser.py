"""Headless Chromium through selenium, with the distribution's own driver: nothing is ever downloaded."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
WAIT = 15  # seconds for anything to appear

TakePicture = Callable[[str], None]

_FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1000,1100",
)


def start_browser(profile: Path, *more: str) -> webdriver.Chrome:
    os.environ["SE_OFFLINE"] = "true"
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*_FLAGS, f"--user-data-dir={profile}", *more):
        options.add_argument(flag)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium's sandbox refuses to run as root
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    driver.set_page_load_timeout(WAIT)
    return driver


def find(driver: webdriver.Chrome, css: str, text: str | None = None) -> WebElement:
    """The first visible element with this selector (and text in it), as soon as there is one."""

    def look(_: object) -> WebElement | Literal[False]:
        for element in driver.find_elements(By.CSS_SELECTOR, css):
            if element.is_displayed() and (text is None or text in element.text):
                return element
        return False

    return _wait(driver).until(look, f"no visible `{css}`" + (f" with “{text}”" if text else ""))


def wait_until(driver: webdriver.Chrome, script: str) -> None:
    """Waits until a JavaScript expression is true."""
    _wait(driver).until(lambda _: driver.execute_script(f"return {script}"), f"never true: {script}")


def fill(driver: webdriver.Chrome, **fields: str) -> None:
    """Types into form fields, by their names."""
    for name, text in fields.items():
        field = find(driver, f"[name='{name}']")
        if field.get_attribute("type") != "file":
            field.clear()
        field.send_keys(text)


def submit(driver: webdriver.Chrome, css: str) -> None:
    """Clicks, and waits until the old page is gone."""
    driver.execute_script("window.before = true")
    find(driver, css).click()
    wait_until(driver, "document.readyState === 'complete' && !window.before")


def set_color_scheme(driver: webdriver.Chrome, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def console_errors(driver: webdriver.Chrome) -> list[str]:
    """What the page did wrong: scripts that failed, files not found, what the content policy refused."""
    log: list[dict[str, str]] = driver.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in log if entry["level"] == "SEVERE"]


def _wait(driver: webdriver.Chrome) -> WebDriverWait[webdriver.Chrome]:
    # A page may be replaced between finding an element and looking at it.
    return WebDriverWait(driver, WAIT, 0.05, ignored_exceptions=[StaleElementReferenceException])
