"""What the figures were measured on, and how busy it was with other things."""

import os
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from procs import TICK_US, read
from provision import PROJECT, PYTHON


@dataclass(frozen=True)
class Busy:
    """All CPUs since boot, in µs; stolen is what the hypervisor gave to others."""

    at: float
    used_us: float
    stolen_us: float


def parse_cpu_line(text: str) -> tuple[float, float]:
    """Used and stolen µs from the first line of /proc/stat (proc_stat(5)). Guest time is part of user time."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(word) * TICK_US for word in text.split()[1:9])
    return user + nice + system + irq + softirq, float(steal)


def busy() -> Busy:
    """How busy the machine has been until now."""
    used, stolen = parse_cpu_line(read("/proc/stat").splitlines()[0])
    return Busy(time.monotonic(), used, stolen)


def foreign_share(before: Busy, after: Busy, ours_us: float) -> float:
    """The share of the machine that was neither idle nor ours."""
    capacity = (after.at - before.at) * 1e6 * (os.cpu_count() or 1)
    spent = after.used_us - before.used_us + after.stolen_us - before.stolen_us
    return max(0.0, (spent - ours_us) / capacity)


def facts() -> dict[str, object]:
    """Machine, kernel, versions, date."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "kernel": platform.release(),
        "system": output("sh", "-c", ". /etc/os-release && echo $PRETTY_NAME"),
        "python": output(str(PYTHON), "--version").removeprefix("Python "),
        "nginx": output("sh", "-c", "PATH=$PATH:/usr/sbin nginx -v 2>&1").removeprefix("nginx version: "),
        "wrk": output("sh", "-c", "wrk -v 2>&1 | head -1 | cut -d' ' -f2"),
        "commit": output("git", "-C", str(PROJECT), "rev-parse", "HEAD"),
        "uncommitted": bool(output("git", "-C", str(PROJECT), "status", "--porcelain", "--untracked-files=no")),
        "awaitd_bin": os.environ.get("AWAITD_BIN", ""),
        "packages": packages(),
    }


def python_version(facts: Mapping[str, object]) -> tuple[int, int]:
    """The minor version that the workers ran on."""
    major, minor, *_ = str(facts["python"]).split(".")
    return int(major), int(minor)


def packages() -> dict[str, str]:
    """Everything in bench/.venv by version."""
    lines = output(str(PYTHON), "-m", "pip", "list", "--format=freeze").splitlines()
    return dict(line.split("==", 1) for line in lines if "==" in line)


def cpu_model() -> str:
    for line in read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def output(*command: str) -> str:
    """What a command prints, or nothing if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
