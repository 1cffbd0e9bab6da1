"""What takes the connections of some addresses in the application's place (``--bind tcp://…=main:handle``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _importer, _interface
from ._errors import StartupError

#: A target as the accelerator has it: what is called, and whether with a StreamReader and a StreamWriter (else as ASGI).
Target = tuple[Callable[..., Any], bool]


def load(setup: dict[str, Any]) -> list[Target]:
    """Import the targets of the setup, in the order of their numbers. Raises ``StartupError``."""
    return [_load(setup, target["kind"], target["target"]) for target in setup.get("targets", [])]


def _load(setup: dict[str, Any], kind: str, text: str) -> Target:
    found = _importer.load(text, setup["app_dir"], False, "auto")
    arguments = _interface.required_arguments(found.callable)
    if arguments == 3:
        return found.callable, False
    if kind == "tcp" and arguments == 2:
        return found.callable, True
    raise StartupError(
        "import",
        f"`{text}` can't take {kind} connections: expected handle(reader, writer), as asyncio.start_server() takes it, "
        "or an ASGI application",
    )


async def nothing(scope: _interface.Scope, receive: _interface.Receive, send: _interface.Send) -> None:
    """Stand for an application where there are only targets: no address leads here."""
    raise RuntimeError(f"no application takes {scope['type']}")
