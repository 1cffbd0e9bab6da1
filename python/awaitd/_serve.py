"""What a worker does with its setup: imports the application, and serves it by its interface."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from . import _asgi, _importer, _interface, _loop, _targets, _wire, _wsgi
from ._control import Control, split_links
from ._errors import StartupError

Load = Callable[[dict[str, Any]], _importer.Application]


def load(setup: dict[str, Any]) -> _importer.Application:
    """Import the application. Raises ``StartupError``."""
    return _importer.load(setup["target"], setup["app_dir"], setup["factory"], setup["interface"])


def serve(control: Control, setup: dict[str, Any], loader: Load) -> None:
    """Serve what ``loader`` returns until the server says stop. Raises ``StartupError``."""
    try:
        links = split_links(setup, control.take_descriptors(setup))
    except (KeyError, ValueError, OSError) as error:
        raise StartupError("setup", f"can't use the server's setup: {error}", "", traceback.format_exc()) from error
    _wire.pass_descriptors(control.fileno(), sum(len(loop) for _, loop in links))
    if setup["interface"] == _interface.TORNADO:
        _serve_tornado(control, setup, loader, links, preloaded=loader is not load)
        return
    if not setup["target"]:
        if loader is not load:
            loader(setup)  # for what a preloaded module wants done after a fork
        _serve_targets(control, setup, links)
        return
    found = loader(setup)
    interface = _interface.detect(found.callable) if found.interface == "auto" else found.interface
    if interface == _interface.TORNADO:
        _serve_tornado(control, setup, lambda _: found, links, preloaded=loader is not load)
        return
    if interface == _interface.WSGI:
        if setup.get("targets"):
            target = setup["targets"][0]["target"]
            raise StartupError(
                "setup",
                f"`{target}` needs an event loop, and workers of `{found.target}` have none: it is a WSGI application",
                "serve each by an awaitd of its own",
            )
        _wsgi.serve(control, {**setup, "interface": interface}, found.callable, links)
        return
    application = _interface.from_asgi2(found.callable) if interface == _interface.ASGI_2 else found.callable
    factory, loop = _loop.choose(setup["loop"])
    _asgi.serve(control, {**setup, "interface": interface, "loop": loop, "target": found.target}, application, factory, links)


def _serve_targets(control: Control, setup: dict[str, Any], links: list[_asgi.Links]) -> None:
    """Serve what addresses lead to, where there is no application."""
    factory, loop = _loop.choose(setup["loop"])
    changed = {"interface": _interface.ASGI_3, "loop": loop, "lifespan": "off", "target": setup["targets"][0]["target"]}
    _asgi.serve(control, {**setup, **changed}, _targets.nothing, factory, links)


def _serve_tornado(control: Control, setup: dict[str, Any], loader: Load, links: list[_asgi.Links], preloaded: bool) -> None:
    from . import _tornado_start  # few workers need it

    found, application, factory, loop = _tornado_start.start(setup, loader, preloaded)
    changed = {"interface": _interface.TORNADO, "loop": loop, "target": found.target}
    _asgi.serve(control, {**setup, **changed}, application, factory, links)
