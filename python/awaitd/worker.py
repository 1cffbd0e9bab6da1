"""A worker process, started by the server: ``python -m awaitd.worker`` with the control socket as descriptor 3.

It says hello, gets its setup, imports the application, says ready, and serves until it is told to stop. It is the leader of a
process group, which ends with the server's end of the control socket. Exit status: 0 after stop, 3 after ``failed``.

Told to preload, it becomes a zygote (``_zygote.py``), and what goes on behind that are the workers it forks. Told to run, it
becomes a program (``_program.py``), which finds little imported: what serves applications is imported only to do so.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
from typing import Any

from . import _wire
from ._control import Control
from ._errors import StartupError
from ._version import __version__

#: The signal at which the stacks of all threads go to the server's pipe, as `internal/worker/stack.go` has it.
STACK_SIGNAL = 42

#: Exit status of an application that can't start, as `internal/fault` has it.
APPLICATION_FAILED = 3


def main() -> int:
    """Run the worker; return its exit status."""
    control = Control(int(os.environ.pop("AWAITD_CONTROL_FD", "3")))
    _prepare()
    stacks = int(os.environ.pop("AWAITD_STACK_FD", "") or -1)
    _show_stacks(stacks)
    setup = _greet(control)
    try:
        _check_version(setup)
        if setup["type"] == "run":
            from . import _program

            return _program.run(control, setup)
        from . import _serve

        load = _serve.load
        if setup["type"] == "preload":
            from . import _zygote  # few workers need it

            control, preloaded = _zygote.run(control, setup, stacks)
            load = preloaded.load
            setup = _greet(control)
            _check_version(setup)
        _wire.watchdog(control.fileno())
        _serve.serve(control, setup, load)
    except StartupError as error:
        control.send("failed", stage=error.stage, message=error.message, hint=error.hint, traceback=error.traceback)
        _leave(APPLICATION_FAILED)
    return 0


def _leave(status: int) -> None:
    """Exit now: a thread that the application has started, and that isn't a daemon, would be waited for."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _greet(control: Control) -> dict[str, Any]:
    """Say hello, and return what the server answers."""
    control.send(
        "hello",
        wire=_wire.VERSION,
        awaitd=__version__,
        python=sys.version.split()[0],
        executable=sys.executable,
        pid=os.getpid(),
    )
    return control.receive()


def _prepare() -> None:
    """Ctrl-C reaches the whole terminal, but what it means is the server's business. (A handler, since children would inherit
    an ignored signal.) Output goes out line by line, wherever it goes."""
    signal.signal(signal.SIGINT, lambda *_: None)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)


def _show_stacks(descriptor: int) -> None:
    """Have the stacks written by C code in the signal's handler: it runs even if no other Python code can."""
    if descriptor >= 0 and sys.platform == "linux":
        os.set_inheritable(descriptor, False)
        faulthandler.register(STACK_SIGNAL, file=descriptor, all_threads=True)


def _check_version(setup: dict[str, Any]) -> None:
    """Raise ``StartupError`` if the server speaks another wire version."""
    if setup["wire"] != _wire.VERSION:
        raise StartupError(
            "setup", f"can't talk with a server of wire version {setup['wire']}: this is version {_wire.VERSION}"
        )


if __name__ == "__main__":
    sys.exit(main())
