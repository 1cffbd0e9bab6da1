"""What a worker says on stderr: that an application raised, once, with the id that the client's error page shows; warnings;
at the log levels debug and trace also what only helps to find a fault."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from ._errors import ClientDisconnected
from ._importer import format_exception, own_depth

#: Bytes of what an application says by ``http.response.debug``: templates' contexts have no end.
DEBUG_LIMIT = 2048


def reporter(interface: str, what: str = "application") -> Callable[[int, BaseException | None, str], None]:
    """Return the ``report(id, exception, text)`` that the accelerator calls; ``text`` counts where no exception was raised."""

    def report(id: int, error: BaseException | None, text: str) -> None:
        if error is None:
            _write(f"error in {interface} {what} [id {id:016x}]: {text}\n")
        else:
            doubt = _doubt(interface, error) if what == "application" else ""
            _write(f"exception in {interface} {what} [id {id:016x}]\n{format_exception(error)}{doubt}")

    return report


#: What Python says of a call with other arguments: of the application's own, and of one from a wrapper that takes any.
_MISFIT = re.compile(r"takes .*positional argument|missing .*required positional argument|must return an awaitable")
_INNER_MISFIT = re.compile(r"missing .*required positional argument.*'(receive|send|start_response)'")


def _doubt(interface: str, error: BaseException) -> str:
    """Say where the interface may have been taken for another: by how the call of the application itself failed."""
    if not isinstance(error, TypeError):
        return ""
    depth, text = own_depth(error), str(error)
    if not (depth == 0 and _MISFIT.search(text)) and not (depth == 1 and _INNER_MISFIT.search(text)):
        return ""
    return f"it was called as {interface}; if it is something else, --interface (wsgi, asgi3, asgi2, tornado) says what\n"


def client_left(error: BaseException | None) -> bool:
    """Say whether an exception tells of nothing else than that ``send()`` found the client gone.

    So do a framework's own word for it, such as ``ClientDisconnect``, raised in its place, and a group of these.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(map(client_left, error.exceptions))
    if isinstance(error, ClientDisconnected):
        return True
    return error is not None and "Disconnect" in type(error).__name__ and client_left(error.__cause__ or error.__context__)


def is_debug(level: str) -> bool:
    """Is this a log level at which debug messages are said?"""
    return level in ("debug", "trace")


def debugger(interface: str) -> Callable[[int, dict[str, Any]], None]:
    """Return the ``debug(id, info)`` that writes an application's own debug information on one line."""

    def write(id: int, info: dict[str, Any]) -> None:
        debug(f"from {interface} application [id {id:016x}]: {_short_repr(info)}")

    return write


def _short_repr(value: object) -> str:
    try:
        text = repr(value).replace("\n", "\\n").replace("\r", "\\r")
    except Exception as error:
        return f"its repr raised {type(error).__name__}"
    data = text.encode("utf-8", "backslashreplace")
    return text if len(data) <= DEBUG_LIMIT else data[:DEBUG_LIMIT].decode("utf-8", "ignore") + "…"


def debug(text: str) -> None:
    """Print a line that is only for those who look for a fault; the caller has looked at the log level."""
    _write(f"debug: {text}\n")


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
