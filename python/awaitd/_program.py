"""A program of ``awaitd run``: this process becomes what ``python script.py`` or ``python -m module`` would be.

The program finds its sockets from descriptor 3 on, as sd_listen_fds(3) has it; only the process itself knows its id in time for
LISTEN_PID. The control socket stays open behind its back, for the watchdog: when the server is gone, the process group ends.
"""

from __future__ import annotations

import builtins
import importlib.util
import io
import os
import runpy
import signal
import sys
from types import ModuleType, TracebackType
from typing import Any

from . import _wire
from ._control import Control
from ._errors import StartupError


def run(control: Control, setup: dict[str, Any]) -> int:
    """Run the program; return its exit status. Raises ``StartupError``, and what ends an interpreter."""
    program = setup["program"]
    _name_sockets(program["names"])
    control.take_descriptors(setup)
    _wire.watchdog(control.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main = ModuleType("__main__")
    main.__builtins__ = builtins  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    del sys.argv[0]  # the program's stands behind this package's, as bytes that JSON might not have
    try:
        if program["module"]:
            _run_module(sys.argv[0])
        else:
            _run_script(sys.argv[0], main)
    except (SystemExit, KeyboardInterrupt, StartupError):
        raise
    except BaseException as error:
        trace = _of_the_program(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0


def _name_sockets(names: list[str]) -> None:
    if names:
        os.environ["LISTEN_PID"] = str(os.getpid())
        os.environ["LISTEN_FDS"] = str(len(names))
        os.environ["LISTEN_FDNAMES"] = ":".join(names)


def _run_module(name: str) -> None:
    """As ``python -m``: what the working folder has comes first."""
    _begin_path_with(os.getcwd())
    try:
        missing = importlib.util.find_spec(name) is None
    except ModuleNotFoundError as error:
        if error.name != name.rpartition(".")[0]:
            raise
        missing = True
    if missing:
        raise StartupError("import", f"can't run `-m {name}`: there is no such module")
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_script(path: str, main: ModuleType) -> None:
    """As ``python path``: what the script's own folder has comes first. A folder or an archive has a ``__main__``."""
    if not os.path.isfile(path) or path.endswith((".zip", ".pyz")):
        runpy.run_path(path, run_name="__main__")
        return
    _begin_path_with(os.path.dirname(os.path.realpath(path)))
    main.__file__ = os.path.abspath(path)
    main.__cached__ = None  # type: ignore[attr-defined]
    with io.open_code(main.__file__) as file:
        source = file.read()
    exec(compile(source, main.__file__, "exec"), main.__dict__)


def _begin_path_with(folder: str) -> None:
    if not sys.flags.safe_path:
        sys.path[0] = folder


#: Whose frames are none of the program's.
_OURS = (__file__, runpy.__file__, "<frozen runpy>")


def _of_the_program(trace: TracebackType | None) -> TracebackType | None:
    while trace and trace.tb_frame.f_code.co_filename in _OURS:
        trace = trace.tb_next
    return trace
