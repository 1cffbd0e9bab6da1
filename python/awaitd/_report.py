"""Say on stderr that an application raised: once, with the id that the client's error page shows."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ._importer import format_exception


def reporter(interface: str) -> Callable[[int, BaseException | None, str], None]:
    """Return the ``report(id, exception, text)`` that the accelerator calls; ``text`` counts where no exception was raised."""

    def report(id: int, error: BaseException | None, text: str) -> None:
        if error is None:
            _write(f"error in {interface} application [id {id:016x}]: {text}\n")
        else:
            _write(f"exception in {interface} application [id {id:016x}]\n{format_exception(error)}")

    return report


def warn(text: str, error: BaseException | None = None) -> None:
    """Print a warning, with the traceback of the error if there is one."""
    _write(f"warning: {text}\n{format_exception(error) if error else ''}")


def _write(text: str) -> None:
    """One write, so that lines of several threads don't mix; nobody may be left to read it."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            pass
