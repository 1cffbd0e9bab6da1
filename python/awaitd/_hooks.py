"""What an application has run around the fork of its workers (``--preload``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ._errors import StartupError
from ._importer import format_exception

Hook = TypeVar("Hook", bound=Callable[[], Any])

_before: list[Callable[[], Any]] = []
_after: list[Callable[[], Any]] = []


def before_fork(function: Hook) -> Hook:
    """Have the zygote call ``function()`` once, between the import and the first fork; usable as a decorator.

    For what is otherwise imported or made by the first requests to each worker: templates, routes, statements. Made here it is
    in memory once. It has to close the connections it opens, and to end the threads it starts. Functions are called in the
    order of their registration; without ``--preload`` never. One that raises is a failed start.
    """
    return _register(_before, function, "before_fork")


def after_fork(function: Hook) -> Hook:
    """Have each worker call ``function()`` when it was forked, before it does anything else; usable as a decorator.

    For what was made by the import and must not be shared: connections, sockets, random generators. Functions are called in the
    order of their registration; without ``--preload`` never. One that raises keeps the worker from starting.
    """
    return _register(_after, function, "after_fork")


def _register(hooks: list[Callable[[], Any]], function: Hook, name: str) -> Hook:
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{name} takes a plain function: no event loop runs when it is called")
    if not callable(function):
        raise TypeError(f"{name} takes a function, not {type(function).__name__}")
    hooks.append(function)
    return function


def run_before(target: str) -> None:
    """Call what is for the zygote. Raises ``StartupError``."""
    _run(_before, target, "before_fork")


def run_after(target: str) -> None:
    """Call what is for each worker. Raises ``StartupError``."""
    _run(_after, target, "after_fork")


def _run(hooks: list[Callable[[], Any]], target: str, name: str) -> None:
    for hook in hooks:
        try:
            hook()
        except BaseException as error:
            function = getattr(hook, "__qualname__", repr(hook))
            problem = f"can't start `{target}`: {name} function `{function}` failed: {type(error).__name__}: {error}"
            raise StartupError("fork", problem, "", format_exception(error)) from error
