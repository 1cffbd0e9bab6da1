"""What an application has run in each worker after it was forked (``--preload``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ._errors import StartupError
from ._importer import format_exception

Hook = TypeVar("Hook", bound=Callable[[], Any])

_hooks: list[Callable[[], Any]] = []


def after_fork(function: Hook) -> Hook:
    """Have each worker call ``function()`` when it was forked, before it does anything else; usable as a decorator.

    For what was made by the import and must not be shared: connections, sockets, random generators. Functions are called in the
    order of their registration; without ``--preload`` never. One that raises keeps the worker from starting.
    """
    if inspect.iscoroutinefunction(function):
        raise TypeError("after_fork takes a plain function: no event loop runs yet when it is called")
    if not callable(function):
        raise TypeError(f"after_fork takes a function, not {type(function).__name__}")
    _hooks.append(function)
    return function


def run_hooks(target: str) -> None:
    """Call what was registered. Raises ``StartupError``."""
    for hook in _hooks:
        try:
            hook()
        except BaseException as error:
            name = getattr(hook, "__qualname__", repr(hook))
            problem = f"can't start `{target}`: after_fork function `{name}` failed: {type(error).__name__}: {error}"
            raise StartupError("fork", problem, "", format_exception(error)) from error
