"""Run the tests of public projects through awaitd: every request that they make goes over a socket to the server.

    python tests/suites/run.py                     all suites; minutes, the first time with downloads from PyPI
    python tests/suites/run.py starlette httpx     these
    python tests/suites/run.py starlette -k gzip   only tests whose name matches; lists nothing as missing then
    python tests/suites/run.py --server uvicorn    the same through uvicorn and gunicorn: is it the server, or the test?

The projects' source distributions and what their tests need are pinned in suites.toml and requirements.txt, and kept in
build/suites. A test that can't pass is in expected.toml with its reason. The run fails if any other fails, or one of these
passes. Run it with the interpreter that awaitd is installed in; AWAITD_BIN=... tests another binary.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expected import Expected, Tally

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
CACHE = TESTS.parent / "build" / "suites"
VENV = CACHE / "venv"
PYTHON = VENV / "bin" / "python"


class Failed(Exception):
    """What keeps a suite from being run; the message says what to do."""


@dataclass
class Suite:
    """A project's tests: where they come from, and how they are run. See suites.toml."""

    name: str
    version: str
    arguments: list[str]
    cwd: str = "."
    project: str = ""
    env: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return CACHE / f"{self.project or self.name}-{self.version}"

    def run(self, server: str, chosen: Sequence[str], expected: Expected) -> Tally:
        report = CACHE / f"{self.name}.json"
        report.unlink(missing_ok=True)
        skip = CACHE / f"{self.name}.skip"
        skip.write_text("\n".join(expected.not_run))
        env = {
            **os.environ,
            **self.env,
            "AWAITD_BIN": binary(),
            "AWAITD_TEST_SERVER": server,
            "PYTHONPATH": os.pathsep.join(map(str, (HERE, TESTS, self.source))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "SUITES_REPORT": str(report),
            "SUITES_SKIP": str(skip),
        }
        subprocess.run([PYTHON, *self.arguments, *chosen], cwd=self.source / self.cwd, env=env)
        if not report.exists():
            raise Failed(f"{self.name} did not come to its end")
        return Tally(json.loads(report.read_text()))


def binary() -> str:
    """The server under test."""
    return os.environ.get("AWAITD_BIN") or str(Path(sys.executable).parent / "awaitd")


def provide(suite: Suite) -> None:
    """Downloads and unpacks a source distribution, if it is not here."""
    if suite.source.exists():
        return
    say(f"fetching {suite.source.name} from PyPI")
    project = suite.project or suite.name
    pip(sys.executable, "download", "--no-deps", "--no-binary", project, "-d", str(CACHE), f"{project}=={suite.version}")
    with tarfile.open(CACHE / f"{suite.source.name}.tar.gz") as archive:
        archive.extractall(CACHE, filter="data")


def provide_venv() -> None:
    """Makes the virtual environment of the tests, again when requirements.txt changes. It finds awaitd where we find it."""
    requirements = HERE / "requirements.txt"
    stamp, digest = VENV / "requirements.sha256", hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        say("installing what the suites' tests need")
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        pip(str(PYTHON), "install", "-r", str(requirements))
        stamp.write_text(digest)
    package = importlib.util.find_spec("awaitd")
    if package is None or package.origin is None:
        raise Failed(f"{sys.executable} has no awaitd: run this with the interpreter that it is installed in")
    site = VENV / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "awaitd-under-test.pth").write_text(str(Path(package.origin).parents[1]))
    program = VENV / "bin" / "awaitd"  # for those that need a sidecar
    program.unlink(missing_ok=True)
    program.symlink_to(binary())


def pip(python: str, *arguments: str) -> None:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    if subprocess.run(command).returncode != 0:
        raise Failed(f"`{' '.join(command)}` failed")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(suite: Suite, arguments: argparse.Namespace, expected: Expected) -> bool:
    """Runs one suite and says what came of it; is all as expected?"""
    begin = time.monotonic()
    say(f"== {suite.name} {suite.version}")
    tally = suite.run(arguments.server, ["-k", arguments.only] if arguments.only else [], expected)
    for line in (wrong := expected.wrong(tally, whole=not arguments.only)):
        say(line)
    say(f"{suite.name} {suite.version} through {arguments.server}: {tally} ({time.monotonic() - begin:.0f} s)")
    return not wrong


def load(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / name).read_text())


def main() -> None:
    suites = {name: Suite(name, **settings) for name, settings in load("suites.toml").items()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"one of {', '.join(suites)}; all when none is named")
    parser.add_argument("-k", dest="only", metavar="NAME", help="only tests whose name matches")
    parser.add_argument("--server", choices=("awaitd", "uvicorn"), default="awaitd", help="what serves (default: awaitd)")
    arguments = parser.parse_args()
    if unknown := set(arguments.suites) - set(suites):
        parser.error(f"no suite is called {', '.join(sorted(unknown))}")
    CACHE.mkdir(parents=True, exist_ok=True)
    listed = load("expected.toml")
    good = True
    try:
        provide_venv()
        for name in arguments.suites or suites:
            provide(suites[name])
            good &= run(suites[name], arguments, Expected(listed.get(name, [])))
    except Failed as error:
        sys.exit(f"error: {error}")
    sys.exit(not good)


if __name__ == "__main__":
    main()
