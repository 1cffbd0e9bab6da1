"""Reads /proc: which processes belong to a server, what CPU they used, what memory they hold.

A server is started in a session of its own. Its tree is every process of that session and every descendant of its first
process, so a worker that calls setsid() or is re-parented to a subreaper inside the tree is still counted.

CPU is user + system time of all threads, ended ones included, in nanoseconds from the process's CPU clock (the ticks of
/proc/PID/stat are 10 ms). Children that were born and reaped in between are in their parent's waited time.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
CPUCLOCK_SCHED = 2  # low bits of a dynamic clock id: the whole process, scheduler precision; see clock_getcpuclockid(3)


class ProcessEnded(Exception):
    """A process of the tree ended while it was measured; its CPU is lost, so the measurement is void."""


@dataclass(frozen=True)
class Process:
    """One line of /proc/PID/stat, as far as the bench needs it."""

    pid: int
    name: str
    parent: int
    session: int
    waited_us: float
    started: int
    user_us: float = 0.0  # of cpu_us, what was not spent in the kernel; in ticks

    @property
    def key(self) -> tuple[int, int]:
        """Identifies the process even if its pid is used again."""
        return self.pid, self.started


@dataclass(frozen=True)
class Memory:
    """Bytes, from /proc/PID/smaps_rollup; peak_rss from VmHWM of /proc/PID/status."""

    rss: int = 0
    pss: int = 0
    private_dirty: int = 0
    peak_rss: int = 0

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: "Memory") -> "Memory":
        return Memory(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Usage:
    """What one process of a tree had used at one moment."""

    process: Process
    cpu_us: float


Role = Callable[[Process], str]
Snapshot = Mapping[tuple[int, int], Usage]


def parse_stat(text: str) -> Process:
    """Reads /proc/PID/stat (proc_pid_stat(5)). The name is in parentheses and may itself contain them."""
    opening, closing = text.index("("), text.rindex(")")
    field = text[closing + 2 :].split()  # field[0] is the state, field 3 of the manual
    return Process(
        pid=int(text[:opening]),
        name=text[opening + 1 : closing],
        parent=int(field[1]),
        session=int(field[3]),
        waited_us=(int(field[13]) + int(field[14])) * TICK_US,
        started=int(field[19]),
        user_us=int(field[11]) * TICK_US,
    )


def parse_kilobytes(text: str, label: str) -> int:
    """Finds `label:   123 kB` and returns bytes; 0 where the kernel doesn't say."""
    for line in text.splitlines():
        if line.startswith(label + ":"):
            return int(line.split()[1]) * 1024
    return 0


def tree(root: int, processes: Iterable[Process]) -> list[Process]:
    """Keeps the processes of the session `root` and the descendants of process `root`."""
    known = {p.pid: p for p in processes}

    def belongs(process: Process) -> bool:
        if process.session == root:
            return True
        seen = set()
        pid = process.pid
        while pid in known and pid not in seen:
            if pid == root:
                return True
            seen.add(pid)
            pid = known[pid].parent
        return False

    return [p for p in known.values() if belongs(p)]


def cpu_between(before: Snapshot, after: Snapshot, role: Role) -> dict[str, float]:
    """CPU µs used between two snapshots of one tree, by role."""
    gone = [u.process for key, u in before.items() if key not in after]
    if gone:
        raise ProcessEnded(", ".join(f"{p.name} (pid {p.pid})" for p in gone))
    used: dict[str, float] = {}
    for key, usage in after.items():
        then = before.get(key)
        spent = usage.cpu_us - (then.cpu_us if then else 0.0)
        spent += usage.process.waited_us - (then.process.waited_us if then else 0.0)
        name = role(usage.process)
        used[name] = used.get(name, 0.0) + spent
    return used


def user_between(before: Snapshot, after: Snapshot) -> float:
    """CPU µs that the processes of both snapshots used outside the kernel in between; good to a tick of 10 ms for each."""
    return sum(after[key].process.user_us - usage.process.user_us for key, usage in before.items() if key in after)


def growth(before: Snapshot, after: Snapshot) -> float:
    """CPU µs that the processes of both snapshots used in between."""
    return sum(after[key].cpu_us - usage.cpu_us for key, usage in before.items() if key in after)


def running() -> list[Process]:
    """Every process there is."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found.append(parse_stat(read(f"/proc/{name}/stat")))
            except OSError:
                continue  # it ended since the listing
    return found


def alive(key: tuple[int, int]) -> bool:
    """Whether the process with this key still runs; far cheaper than running()."""
    try:
        return parse_stat(read(f"/proc/{key[0]}/stat")).key == key
    except OSError:
        return False


def snapshot(root: int) -> dict[tuple[int, int], Usage]:
    """What each process of the tree has used so far."""
    usages = {}
    for process in tree(root, running()):
        try:
            usages[process.key] = Usage(process, cpu_us(process.pid))
        except OSError:
            continue
    return usages


def cpu_us(pid: int) -> float:
    """User + system time of a process since its start."""
    return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED) / 1000


def memory(root: int, role: Role) -> dict[str, Memory]:
    """Memory of the tree by role."""
    used: dict[str, Memory] = {}
    for process in tree(root, running()):
        try:
            rollup, status = read(f"/proc/{process.pid}/smaps_rollup"), read(f"/proc/{process.pid}/status")
        except OSError:
            continue
        one = Memory(
            rss=parse_kilobytes(rollup, "Rss"),
            pss=parse_kilobytes(rollup, "Pss"),
            private_dirty=parse_kilobytes(rollup, "Private_Dirty"),
            peak_rss=parse_kilobytes(status, "VmHWM"),
        )
        name = role(process)
        used[name] = used.get(name, Memory()) + one
    return used


def total(by_role: Mapping[str, Memory]) -> Memory:
    """Memory of the whole tree."""
    return sum(by_role.values(), Memory())


def read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
