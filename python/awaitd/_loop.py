"""Choose the event loop: ``auto``, ``asyncio``, ``uvloop``, or a factory ``module:attribute``; run an import on it."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from ._errors import StartupError

LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]
T = TypeVar("T")


def choose(name: str) -> tuple[LoopFactory, str]:
    """Return the factory and the name of what was chosen. Raises ``StartupError``."""
    if name == "auto":
        name = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    if name == "asyncio":
        return asyncio.new_event_loop, name
    module, attribute = ("uvloop", "new_event_loop") if name == "uvloop" else name.split(":", 1) if ":" in name else (name, "")
    if not attribute:
        raise StartupError("setup", f"can't use the event loop `{name}`: expected auto, asyncio, uvloop or `module:factory`")
    try:
        factory: LoopFactory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        hint = "install it with `pip install uvloop`, or use `--loop asyncio`" if name == "uvloop" else ""
        raise StartupError("setup", f"can't use the event loop `{name}`: {error}", hint) from error
    return factory, name


def call_on(loop: asyncio.AbstractEventLoop, function: Callable[[], T]) -> T:
    """Call ``function`` with ``loop`` running, which then goes on where it is run next."""

    async def call() -> T:
        return function()

    asyncio.set_event_loop(loop)
    return loop.run_until_complete(call())


def first(loop: asyncio.AbstractEventLoop, factory: LoopFactory) -> LoopFactory:
    """Return a factory that gives ``loop``, and then what ``factory`` makes."""
    made = [loop]
    return lambda: made.pop() if made else factory()
