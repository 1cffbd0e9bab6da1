"""What takes the connections of some addresses in the application's place (``--bind tcp://…=main:handle``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _importer, _interface
from ._errors import StartupError

#: A target as the accelerator has it: what is called, and whether as asyncio does (else as ASGI): with a StreamReader and a
#: StreamWriter, or without arguments for a DatagramProtocol.
Target = tuple[Callable[..., Any], bool]


#: How many arguments asyncio's own shape has, and how it is described, by kind.
_ASYNCIO = {
    "tcp": (2, "tcp connections: expected handle(reader, writer), as asyncio.start_server() takes it"),
    "udp": (0, "udp datagrams: expected a DatagramProtocol, or what makes one, as create_datagram_endpoint() takes it"),
}


def load(setup: dict[str, Any]) -> list[Target]:
    """Import the targets of the setup, in the order of their numbers. Raises ``StartupError``."""
    return [_load(setup, target["kind"], target["target"]) for target in setup.get("targets", [])]


def _load(setup: dict[str, Any], kind: str, text: str) -> Target:
    found = _importer.load(text, setup["app_dir"], False, "auto")
    arguments = _interface.required_arguments(found.callable)
    if arguments == 3:
        return found.callable, False
    required, what = _ASYNCIO[kind]
    if arguments == required:
        return found.callable, True
    raise StartupError("import", f"`{text}` can't take {what}, or an ASGI application")


async def nothing(scope: _interface.Scope, receive: _interface.Receive, send: _interface.Send) -> None:
    """Stand for an application where there are only targets: no address leads here."""
    raise RuntimeError(f"no application takes {scope['type']}")
