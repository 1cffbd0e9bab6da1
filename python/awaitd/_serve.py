"""What a worker does with its setup: imports the application, and serves it by its interface."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from . import _asgi, _importer, _interface, _loop, _wire, _wsgi
from ._control import Control, split_links
from ._errors import StartupError


def load(setup: dict[str, Any]) -> _importer.Application:
    """Import the application. Raises ``StartupError``."""
    return _importer.load(setup["target"], setup["app_dir"], setup["factory"], setup["interface"])


def serve(control: Control, setup: dict[str, Any], load: Callable[[dict[str, Any]], _importer.Application]) -> None:
    """Serve what ``load`` returns until the server says stop. Raises ``StartupError``."""
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
