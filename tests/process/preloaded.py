"""The application of test_preload.py: that of app.py, and what is to be seen of an import that workers share."""

import json
import os
import random
import threading
from pathlib import Path

import app as routes
import awaitd
from app import Query, Receive, Send, app, meet, note, wait_at

__all__ = ["app"]

IMPORTED_BY = os.getpid()
BALLAST = [str(n) * 1000 for n in range(10_000, 20_000)] if "BALLAST" in os.environ else []  # 50 MB
MORE = []
about_to_fork = []
forked = []

note("imported")


@awaitd.before_fork
def before_fork() -> None:
    about_to_fork.append(os.getpid())
    if "MORE_BALLAST" in os.environ:
        MORE.extend(str(n) * 1000 for n in range(10_000, 20_000))  # 50 MB


@awaitd.after_fork
def after_fork() -> None:
    forked.append(os.getpid())


async def do_who(query: Query, receive: Receive, send: Send) -> str:
    """Tells of the worker; with `gate`, when that is open."""
    if "gate" in query:
        await wait_at(query["gate"])
    who = {
        "imported_by": IMPORTED_BY,
        "pid": os.getpid(),
        "parent": os.getppid(),
        "group": os.getpgrp(),
        "ballast": len(BALLAST) + len(MORE),
        "about_to_fork": about_to_fork,
        "forked": forked,
        "random": random.random(),
        "threads": threading.active_count(),
        "sockets": sum("socket:" in os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()),
    }
    return json.dumps(who)


routes.do_who = do_who  # type: ignore[attr-defined]

if pipe := os.environ.get("PRELOAD_MEETS"):
    meet(pipe)
