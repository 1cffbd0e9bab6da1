"""The zygote of ``--preload``: a process that imports the application once and forks the workers.

It has one thread, and while it forks no other may be there: what they held would stay held in the workers for ever. It waits on
its control socket, whose end is its own. Objects made by the import are frozen: no worker's garbage collector writes to them,
so their memory stays shared. Nothing else of a worker's life is here: each goes on where an ordinary worker begins.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import _importer, _interface, _loop, _targets
from ._control import Closed, Control
from ._errors import StartupError
from ._hooks import run_after, run_before
from ._importer import Application
from ._report import warn

#: What of a setup says which application it is.
_SAME = ("target", "app_dir", "factory", "interface")

#: Descriptors of a `fork` message: control socket, output, stacks.
_DESCRIPTORS = 3

#: How often, and how long apart in seconds, threads are looked at that may be about to begin or to end.
_LOOKS, _LOOK_EVERY = 20, 0.01


class Preloaded:
    """The application as the zygote imported it: what a forked worker has in place of an import of its own."""

    def __init__(self, task: dict[str, Any], found: Application) -> None:
        self._task = task
        self._found = found

    def load(self, setup: dict[str, Any]) -> Application:
        """Return the application, ready to be used in this process. Raises ``StartupError``."""
        if any(setup[key] != self._task[key] for key in _SAME):
            raise StartupError("setup", f"can't start `{setup['target']}`: the zygote has imported `{self._task['target']}`")
        run_after(setup["target"])
        return self._found


def run(control: Control, task: dict[str, Any], stacks: int) -> tuple[Control, Preloaded]:
    """Import the application, then fork a worker at each `fork`. Returns in every worker, never in the zygote, which ends with
    its control socket. ``stacks`` is the descriptor that the stacks of this process go to. Raises ``StartupError``."""
    threshold = gc.get_threshold()
    with _ended_by(control):
        preloaded = Preloaded(task, _preload(task, threshold))
    control.send("preloaded")
    with contextlib.suppress(Closed):
        while True:
            message = control.receive()
            descriptors = control.take_descriptors()
            if message["type"] == "fork" and len(descriptors) == _DESCRIPTORS and (own := _fork(control, descriptors, stacks)):
                if gc.get_threshold()[0] == 0:
                    gc.set_threshold(*threshold)
                return own, preloaded
            for descriptor in descriptors:
                os.close(descriptor)
    _flush()
    os._exit(0)  # what the application has registered for the end is for those that serve it


@contextlib.contextmanager
def _ended_by(control: Control) -> Iterator[None]:
    """Have the kernel kill the process group at the end of the control socket: there is no thread that could watch it, and an
    import may take for ever. The server says nothing meanwhile, for that would do the same."""
    if sys.platform != "linux":
        yield
        return
    flags = fcntl.fcntl(control, fcntl.F_GETFL)
    fcntl.fcntl(control, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(control, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(control, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        if control.is_closed():
            os._exit(0)
        yield
    finally:
        fcntl.fcntl(control, fcntl.F_SETFL, flags)


def _preload(task: dict[str, Any], threshold: tuple[int, ...]) -> Application:
    gc.set_threshold(0, *threshold[1:])  # not gc.disable(): the application may do that itself, and mean it
    found = _import(task)
    interface = _interface.detect(found.callable) if found.interface == "auto" else found.interface
    if interface != _interface.WSGI:
        _loop.choose(task["loop"])  # its import, too, is shared
    name = task["target"] or task["targets"][0]["target"]
    run_before(name)
    names, strangers = _settled_threads()
    if names:
        problem = f"can't preload `{name}`: it has started threads, which workers would not have: {', '.join(names)}"
        hint = "start them in lifespan startup, by `awaitd.after_fork`, or when first needed; or leave out `--preload`"
        raise StartupError("import", problem, hint)
    if strangers:
        warn(f"threads that are not Python's run after the import, and workers won't have them: {', '.join(strangers)}")
    # Without a collection: what it frees are holes, all over the memory that is shared, and what workers make would fill them.
    gc.freeze()
    return found


def _import(task: dict[str, Any]) -> Application:
    """Import the application, and what addresses lead to besides."""
    if task["target"]:
        found = _importer.load(task["target"], task["app_dir"], task["factory"], task["interface"])
    else:
        found = Application(_targets.nothing, _interface.ASGI_3, "")
    _targets.check(task)
    return found


def _settled_threads() -> tuple[list[str], list[str]]:
    """The names of all other threads: Python's, and those that are not. One that has just been joined may still be about to go,
    one that has just been started may not run yet; to the kernel both are threads."""
    for look in range(_LOOKS):
        time.sleep(_LOOK_EVERY if look else 0)
        names, strangers = _threads(), _kernel_threads()
        if names or not strangers:
            break
    return names, strangers


def _threads() -> list[str]:
    """The names of all other Python threads; of those that were started without one, their functions'."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found = []
    for ident, frame in sys._current_frames().items():
        outermost = frame
        while outermost.f_back:
            outermost = outermost.f_back
        if ident != threading.get_ident():
            found.append(f"`{names.get(ident, outermost.f_code.co_name)}`")
    return sorted(found)


def _kernel_threads() -> list[str]:
    """The kernel's names of all other threads."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        if int(task.name) != threading.get_native_id():
            with contextlib.suppress(OSError):  # it has ended
                found.append(f"`{(task / 'comm').read_text().strip()}`")
    return found


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()


def _fork(control: Control, descriptors: list[int], stacks: int) -> Control | None:
    """Fork a worker, and say its id. Returns its control socket in the worker, ``None`` in the zygote."""
    _flush()
    read = write = -1
    try:
        read, write = os.pipe()
        between = os.fork()
    except OSError as error:
        for end in (read, write):
            if end >= 0:
                os.close(end)
        control.send("forked", pid=0, message=f"fork: {error.strerror}")
        return None
    if between == 0:
        _fork_again(write)
        os.close(read)
        os.close(write)
        return _take_place(control, descriptors, stacks)
    os.close(write)
    pid, _, message = os.read(read, 1024).decode().partition(" ")
    os.close(read)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(between, 0)  # when this is over, the worker is the server's child
    control.send("forked", pid=int(pid or 0), message=message)
    return None


def _fork_again(write: int) -> None:
    """In the process between: fork the worker and end, which makes it the child of the server, a subreaper. Returns in the
    worker only."""
    try:
        pid = os.fork()
        if pid == 0:
            return
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # here, too: its id is said when this has happened
        os.write(write, f"{pid}".encode())
    except OSError as error:
        os.write(write, f"0 fork: {error.strerror}".encode())
    os._exit(0)


def _take_place(control: Control, descriptors: list[int], stacks: int) -> Control:
    """Make this process a worker of its own: process group, control socket, output, stacks."""
    os.setpgid(0, 0)
    own, output, own_stacks = descriptors
    fd = control.detach()
    os.dup2(own, fd, inheritable=False)
    os.dup2(own_stacks, stacks, inheritable=False)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for descriptor in descriptors:
        os.close(descriptor)
    return Control(fd)
