"""A worker process, started by the server: ``python -m awaitd.worker`` with the control socket as descriptor 3.

It says hello, gets its setup, imports the application, says ready, and serves until it is told to stop. It is the leader of a
process group, which ends with the server's end of the control socket. Exit status: 0 after stop, 3 after ``failed``.

Told to preload, it becomes a zygote (``_zygote.py``), and what goes on behind that are the workers it forks.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from . import _asgi, _importer, _interface, _loop, _wire, _wsgi
from ._control import Control, split_links
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
    load = _load
    setup = _greet(control)
    try:
        if setup["type"] == "preload":
            from . import _zygote  # few workers need it

            _check_version(setup)
            control, preloaded = _zygote.run(control, setup, stacks)
            load = preloaded.load
            setup = _greet(control)
        _wire.watchdog(control.fileno())
        _serve(control, setup, load)
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
    if setup["wire"] != _wire.VERSION:
        raise StartupError(
            "setup", f"can't talk with a server of wire version {setup['wire']}: this is version {_wire.VERSION}"
        )


def _load(setup: dict[str, Any]) -> _importer.Application:
    return _importer.load(setup["target"], setup["app_dir"], setup["factory"], setup["interface"])


def _serve(control: Control, setup: dict[str, Any], load: Callable[[dict[str, Any]], _importer.Application]) -> None:
    _check_version(setup)
    try:
        links = split_links(setup, control.take_descriptors())
    except (KeyError, ValueError, OSError) as error:
        raise StartupError("setup", f"can't use the server's setup: {error}", "", traceback.format_exc()) from error
    _wire.pass_descriptors(control.fileno(), sum(len(loop) for _, loop in links))
    found = load(setup)
    interface = _interface.detect(found.callable) if found.interface == "auto" else found.interface
    if interface == _interface.WSGI:
        _wsgi.serve(control, {**setup, "interface": interface}, found.callable, links)
        return
    application = _interface.from_asgi2(found.callable) if interface == _interface.ASGI_2 else found.callable
    factory, loop = _loop.choose(setup["loop"])
    _asgi.serve(control, {**setup, "interface": interface, "loop": loop, "target": found.target}, application, factory, links)


if __name__ == "__main__":
    sys.exit(main())
