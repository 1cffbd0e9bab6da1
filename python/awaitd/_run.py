"""``awaitd.run``: the server started from Python, as a child of the program that calls it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

from ._find import find_binary

#: One setting's value: a switch, a number, a text, a path, or several of them for a setting that may be repeated.
Value: TypeAlias = "bool | int | float | str | os.PathLike[str] | Iterable[int | float | str | os.PathLike[str]] | None"


def run(target: str, **settings: Value) -> None:
    """Serve ``target`` until the server ends: ``awaitd.run("main:app", port=8000, workers=2, reload=True)``.

    ``target`` names the application as on the command line, ``"module:attribute"``; an application object won't do, because
    the workers are processes of their own that import it. Each of ``settings`` is a flag of the command line with
    underscores for dashes: ``access_log=False`` is ``--no-access-log``, ``bind=["127.0.0.1:80", "unix:/run/app"]`` is
    ``--bind`` twice, None is as if it were not given. Workers run on the calling interpreter unless ``python`` is given.

    Call it under ``if __name__ == "__main__":``. In the main thread SIGINT and SIGTERM are handed on to the server, which
    then stops as it does on the command line. Returns when the server ended cleanly; raises SystemExit with its exit code
    if it did not (1 failure at run time, 2 a wrong setting, 3 the application did not start, 128+N killed by signal N),
    after it has said why on stderr; raises FileNotFoundError if the server is not installed.
    """
    if not isinstance(target, str):
        raise TypeError(f"target must be a string such as 'main:app', not {type(target).__name__}: workers import it")
    # A target that begins with a dash would be taken for a flag.
    if not target or target.startswith("-"):
        raise ValueError(f"target must be 'module:attribute', not {target!r}")
    sys.stdout.flush()
    server = subprocess.Popen([find_binary(), *flags(settings), target], env=environment())
    with _forwarded(server):
        code = server.wait()
    if code != 0:
        raise SystemExit(code if code > 0 else 128 - code)


def flags(settings: Mapping[str, Value]) -> list[str]:
    """Command line flags for ``settings``: ``{"port": 80, "reload": True}`` gives ``["--port=80", "--reload"]``."""
    arguments: list[str] = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if value is None:
            continue
        if isinstance(value, bool):
            arguments.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, Iterable) and not isinstance(value, str):
            arguments.extend(f"--{flag}={_text(name, one)}" for one in value)
        else:
            arguments.append(f"--{flag}={_text(name, value)}")
    return arguments


def environment() -> dict[str, str]:
    """The server's environment: this one, which says that workers run on this interpreter unless another was asked for."""
    interpreter = {"AWAITD_PYTHON": sys.executable} if sys.executable else {}
    return {**interpreter, **os.environ}


def _text(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str | os.PathLike):
        raise TypeError(f"{name} can't be {value!r}: a string, a number, a path, or a list of them")
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


@contextmanager
def _forwarded(server: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hand SIGINT and SIGTERM on to ``server``. Only a main thread may; elsewhere they do what they did before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def forward(number: int, frame: FrameType | None) -> None:
        # Ctrl-C reaches the whole foreground group, the server with it, and a second one would force it to end.
        if not (number == signal.SIGINT and _owns_terminal()):
            server.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _owns_terminal() -> bool:
    """Is this process in the foreground of its terminal, so that a SIGINT most likely came from its keyboard?"""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
