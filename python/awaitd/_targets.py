"""What takes the connections of some addresses in the application's place (``--bind tcp://…=main:handle``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _importer, _interface, _mail
from ._errors import StartupError

#: A target as the accelerator has it: what is called, and whether as asyncio does (else as ASGI): with a StreamReader and a
#: StreamWriter, or without arguments for a DatagramProtocol.
Target = tuple[Callable[..., Any], bool]


#: How many arguments asyncio's own shape has (-1: it is not one that is called), and how it is described, by kind.
_SHAPES = {
    "tcp": (2, "tcp connections: expected handle(reader, writer), as asyncio.start_server() takes it"),
    "udp": (0, "udp datagrams: expected a DatagramProtocol, or what makes one, as create_datagram_endpoint() takes it"),
    "smtp": (-1, "mail: expected a handler with handle_DATA() and the like, as aiosmtpd takes it"),
}


def load(setup: dict[str, Any], application: _interface.ASGI3) -> list[Target]:
    """Import the targets of the setup, by their numbers; one without a name is the application. Raises ``StartupError``."""
    return [_load(setup, target["kind"], target["target"], application) for target in setup.get("targets", [])]


def check(setup: dict[str, Any]) -> None:
    """Import the targets of the setup, and make nothing of them. Raises ``StartupError``."""
    for target in setup.get("targets", []):
        if target["target"]:
            _find(setup, target["kind"], target["target"])


def _load(setup: dict[str, Any], kind: str, text: str, application: _interface.ASGI3) -> Target:
    found, asyncio_like = _find(setup, kind, text) if text else (application, False)
    if kind != "smtp":
        return found, asyncio_like
    if asyncio_like:
        return _mail.Handler(found() if isinstance(found, type) else found), False
    return _mail.application(found), False


def _find(setup: dict[str, Any], kind: str, text: str) -> tuple[Any, bool]:
    """What a target names, and whether it is what asyncio has, or aiosmtpd; else it is an ASGI application."""
    found = _importer.load(text, setup["app_dir"], False, "auto", needs_callable=kind != "smtp").callable
    if kind == "smtp" and _is_mail_handler(found):
        return found, True
    arguments = _interface.required_arguments(found) if callable(found) else 0
    if arguments == 3:
        return found, False
    required, what = _SHAPES[kind]
    if arguments == required:
        return found, True
    raise StartupError("import", f"`{text}` can't take {what}, or an ASGI application")


def _is_mail_handler(handler: object) -> bool:
    """What has hooks; or is no function, like aiosmtpd's ``Sink``, which has none."""
    if any(name.startswith("handle_") for name in dir(handler)) or hasattr(handler, "process_message"):
        return True
    return isinstance(handler, type) or not callable(handler)


async def nothing(scope: _interface.Scope, receive: _interface.Receive, send: _interface.Send) -> None:
    """Stand for an application where there are only targets: no address leads here."""
    raise RuntimeError(f"no application takes {scope['type']}")
