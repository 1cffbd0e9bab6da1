"""Start a Tornado application: is Tornado there, on which event loop is the application imported, and is it one?

An application's module, and its factory, may use ``IOLoop.current()``: they make periodic callbacks, clients, tasks. Named by
``--interface tornado`` they are run on the worker's event loop, while it runs, as under ``asyncio.run(main())``. One that was
found out by itself has been imported before that could be known; the event loop that it has made is then the worker's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from . import _loop
from ._errors import StartupError
from ._importer import Application
from ._interface import ASGI3

#: The first version whose interfaces are as they are used here.
OLDEST = (6, 4)

Load = Callable[[dict[str, Any]], Application]
Started = tuple[Application, ASGI3, _loop.LoopFactory, str]


def start(setup: dict[str, Any], load: Load, preloaded: bool) -> Started:
    """Return the application, also as an ASGI one, how its event loops are made, and their name. Raises ``StartupError``.

    Of a setup that names Tornado, the application is loaded here; ``preloaded``: it was imported before the fork."""
    _require(setup["target"])
    from . import _tornado

    factory, name = _loop.choose(setup["loop"])
    if setup["interface"] == "tornado" and not preloaded:
        loop = factory()
        found = _loop.call_on(loop, lambda: load(setup))
        factory = _loop.first(loop, factory)
    else:
        found = load(setup)
        made = _tornado.made_loop()
        if made is not None:
            name = _check_made(setup, made, preloaded)
            factory = _loop.first(made, factory)
    return found, _tornado.adapt(found.callable, found.target), factory, name


def _require(target: str) -> None:
    try:
        import tornado
    except ModuleNotFoundError:
        problem = f"can't start `{target}`: Tornado is not installed for {sys.executable}"
        raise StartupError("import", problem, "`pip install tornado`") from None
    if getattr(tornado, "version_info", ()) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        version = getattr(tornado, "version", "of an unknown version")
        problem = f"can't start `{target}`: Tornado {version} is installed; the oldest that awaitd runs is {oldest}"
        raise StartupError("import", problem, f"`pip install 'tornado>={oldest}'`")


def _check_made(setup: dict[str, Any], made: asyncio.AbstractEventLoop, preloaded: bool) -> str:
    """Return the name of the event loop that the import has made."""
    if preloaded:
        problem = (
            f"can't preload `{setup['target']}`: its import has used IOLoop.current(), and workers can't share an event loop"
        )
        raise StartupError("fork", problem, "use it when it is first needed, or leave out `--preload`")
    if setup["loop"] not in ("auto", "asyncio"):
        problem = f"can't start `{setup['target']}` on `{setup['loop']}`: its import has made an event loop by IOLoop.current()"
        raise StartupError("import", problem, "with `--interface tornado` it is imported on the right one")
    return "asyncio"
