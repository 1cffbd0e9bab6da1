"""The memory of preloaded workers: examples/django_site in one worker, and in a zygote with several."""

import http.client
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import control
import load
import procs
from fresh import MB, SETTLE
from procs import Process
from provision import PROJECT, PYTHON, say
from running import Running
from samples import Sample, Turn, Void, right
from servers import SERVERS

SITE = PROJECT / "examples" / "django_site"
WORKERS = 4
REQUESTS = 200  # that each worker has had at least
BATCH = 40  # requests between two looks at who has had how many
MOST = 20 * REQUESTS * WORKERS  # requests after which a worker that has not had its own never will


def preload_sample(turn: Turn) -> Sample:
    """PSS of the Python processes: of one worker, and of zygote and workers with --preload."""
    with site() as variables:
        one = python_memory(turn, 1, (), variables)
        many = python_memory(turn, WORKERS, ("--preload",), variables)
    zygote = sum(pss for worker, pss in many if not worker)
    forked = [pss for worker, pss in many if worker]
    if len(one) != 1 or len(many) != WORKERS + 1 or len(forked) != WORKERS:
        raise Void(f"{len(one)} Python processes without --preload, {len(many)} with it")
    figures = {
        "one_mb": one[0][1] / MB,
        "many_mb": (zygote + sum(forked)) / MB,
        "zygote_mb": zygote / MB,
        "forked_mb": sum(forked) / WORKERS / MB,
        "growth": (zygote + sum(forked)) / one[0][1],
    }
    say(f"  round {turn.number + 1} {turn.server}: {figures['many_mb']:.1f} MB, {figures['growth']:.2f} times one worker")
    return Sample(turn.number, figures, {})


@contextmanager
def site() -> Iterator[Mapping[str, str]]:
    """A database with questions in it, and the environment that names it; out of debug, where Django keeps no queries."""
    with tempfile.TemporaryDirectory(prefix="bench-site-") as data:
        variables = {
            "DJANGO_DATA": data,
            "DJANGO_DEBUG": "0",
            "DJANGO_SECRET_KEY": "only-for-the-bench-" * 3,
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
        }
        for command in ("migrate", "-v0"), ("seed", "-v0"):
            line = [str(PYTHON), str(SITE / "manage.py"), *command]
            done = subprocess.run(line, env=variables, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Void(f"manage.py {command[0]}: {done.stderr.strip()[-200:]}")
        yield variables


def python_memory(turn: Turn, workers: int, more: Iterable[str], variables: Mapping[str, str]) -> list[tuple[bool, int]]:
    """PSS of each Python process after each worker has had its requests, and whether it is a worker (or the zygote)."""
    options = ["--app-dir", str(SITE), *more]
    server = Running(SERVERS[turn.server], replace(turn.row, workers=workers), options, variables)
    try:
        page = server.launch.directory / "page.html"
        page.write_bytes(fetch(server.port, turn.row.request.path))
        request, path, sent = replace(turn.row.request, expect=str(page)), server.launch.control, 0
        while least(path, workers) < REQUESTS:
            right(load.verify(server.port, request, turn.row.connections, BATCH))
            if (sent := sent + BATCH) > MOST:
                raise Void(f"after {sent} requests a worker has had {least(path, workers)}")
        time.sleep(SETTLE)
        pids = {w.pid for w in control.workers(path)}
        return [(p.pid in pids, pss(p)) for p in procs.tree(server.pid, procs.running()) if p.pid != server.pid]
    finally:
        server.stop()


def least(path: str, workers: int) -> int:
    """The fewest requests that a worker has had, of those that there are to be."""
    had = [w.requests for w in control.workers(path) if w.state == "ready"]
    return min(had) if len(had) == workers else 0


def pss(process: Process) -> int:
    return procs.parse_kilobytes(procs.read(f"/proc/{process.pid}/smaps_rollup"), "Pss")


def fetch(port: int, path: str) -> bytes:
    """The page that each later reply has to be."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        if reply.status != 200:
            raise Void(f"status {reply.status} for {path}")
        return reply.read()
    finally:
        connection.close()
