"""Does a wheel install and serve where there is neither compiler nor Go?

    python packaging/smoke.py dist/awaitd-*.whl

Makes a fresh environment of the Python that runs this, installs the wheel without an index, and looks at what a user would
try first. Prints a line for each check; exit code 1 and the output of the failed program at the first that fails.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

START_LIMIT = 30.0  # seconds, on the slowest machine that CI has
STOP_LIMIT = 30.0

APP = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"smoke from " + scope["path"].encode()})
"""
RUN = "import awaitd; awaitd.run('smoke_app:app', port=0, lifespan='off')"


class Place:
    """A folder with an environment that has awaitd, an application, and nothing else on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "venv" / "bin"
        self.env = {"PATH": str(self.bin), "HOME": str(folder)}
        venv.create(folder / "venv", with_pip=True)
        (folder / "smoke_app.py").write_text(APP)

    def run(self, *command: str, **env: str) -> str:
        """The output of a program that must succeed."""
        done = subprocess.run(
            [self.bin / command[0], *command[1:]], cwd=self.folder, env=self.env | env, text=True, capture_output=True
        )
        if done.returncode != 0:
            sys.exit(f"error: `{' '.join(command)}` exited with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def install(self, wheel: Path, *options: str) -> None:
        self.run("python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", *options, str(wheel))

    @contextmanager
    def serving(self, *command: str) -> Iterator[str]:
        """A running server's URL; at the end it is told to stop and must do so cleanly."""
        server = subprocess.Popen(
            [self.bin / command[0], *command[1:]],
            cwd=self.folder,
            env=self.env,
            text=True,
            stdout=subprocess.DEVNULL,  # the access log
            stderr=subprocess.PIPE,
        )
        said: list[str] = []
        deadline = threading.Timer(START_LIMIT, server.kill)
        deadline.start()
        try:
            url = _ready_url(server, said)
            deadline.cancel()
            # Nobody else reads the rest, and a full pipe would stop the server's log.
            rest = threading.Thread(target=lambda: said.extend(server.stderr or ()), daemon=True)
            rest.start()
            yield url
            server.send_signal(signal.SIGTERM)
            code = server.wait(STOP_LIMIT)
            if code != 0:
                sys.exit(f"error: `{' '.join(command)}` exited with {code} after SIGTERM\n{''.join(said)}")
        finally:
            deadline.cancel()
            server.kill()
            server.wait()


def _ready_url(server: subprocess.Popen[str], said: list[str]) -> str:
    for line in server.stderr or ():
        said.append(line)
        match = re.search(r"http://127\.0\.0\.1:\d+", line)
        if match:
            return match[0]
    sys.exit(f"error: the server ended, with {server.wait()}, before it was ready\n{''.join(said)}")


def check(wheel: Path, folder: Path) -> None:
    place = Place(folder)
    place.install(wheel)
    version = wheel.name.split("-")[1]
    _expect("awaitd --version", version in place.run("awaitd", "--version"))
    _expect("python -m awaitd --version", version in place.run("python", "-m", "awaitd", "--version"))
    shown = place.run("python", "-c", "import awaitd; print(awaitd.__version__)")
    _expect("awaitd.__version__", shown.strip() == version)

    for command in (["awaitd", "smoke_app:app", "--port", "0"], ["python", "-c", RUN]):
        with place.serving(*command) as url, urllib.request.urlopen(f"{url}/path", timeout=10) as response:
            answer = response.read()
        _expect(f"{' '.join(command[:2])}: serves, stops at SIGTERM", answer == b"smoke from /path")

    place.install(wheel, "--target", "target")
    place.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", "awaitd")
    _expect("uninstall leaves no command", not (place.bin / "awaitd").exists())
    shown = place.run("python", "-m", "awaitd", "--version", PYTHONPATH="target")
    _expect("pip install --target", version in shown)


def _expect(what: str, holds: bool) -> None:
    if not holds:
        sys.exit(f"error: {what}")
    print(f"ok: {what}", flush=True)


def main(arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        sys.exit("usage: python packaging/smoke.py WHEEL")
    wheel = Path(arguments[0]).resolve()
    with tempfile.TemporaryDirectory(prefix="awaitd-smoke-") as folder:
        check(wheel, Path(os.path.realpath(folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
