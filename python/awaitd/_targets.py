"""What takes the connections of some addresses in the application's place (``--bind tcp://…=main:handle``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _importer, _interface, _mail
from ._errors import StartupError

#: A target as the accelerator has it: what is called, and whether as asyncio does (else as ASGI): with a StreamReader and a
#: StreamWriter, or without arguments for a DatagramProtocol.
Target = tuple[Callable[..., Any], bool]


#: How many arguments asyncio's own shape has, and how it is described, by kind.
_ASYNCIO = {
    "tcp": (2, "tcp connections: expected handle(reader, writer), as asyncio.start_server() takes it"),
    "udp": (0, "udp datagrams: expected a DatagramProtocol, or what makes one, as create_datagram_endpoint() takes it"),
}


def load(setup: dict[str, Any], application: _interface.ASGI3) -> list[Target]:
    """Import the targets of the setup, in the order of their numbers; no target is the application. Raises ``StartupError``."""
    return [_load(setup, target["kind"], target["target"], application) for target in setup.get("targets", [])]


def _load(setup: dict[str, Any], kind: str, text: str, application: _interface.ASGI3) -> Target:
    if kind == "smtp":
        return _mail.application(_load_mail(setup, text) if text else application), False
    found = _importer.load(text, setup["app_dir"], False, "auto")
    arguments = _interface.required_arguments(found.callable)
    if arguments == 3:
        return found.callable, False
    required, what = _ASYNCIO[kind]
    if arguments == required:
        return found.callable, True
    raise StartupError("import", f"`{text}` can't take {what}, or an ASGI application")


def _load_mail(setup: dict[str, Any], text: str) -> _interface.ASGI3:
    """A handler of aiosmtpd's kind: an object, or a class that needs no arguments; or an ASGI application."""
    found = _importer.load(text, setup["app_dir"], False, "auto", needs_callable=False)
    handler: Any = found.callable
    if not _is_mail_handler(handler):
        if callable(handler) and not isinstance(handler, type) and _interface.required_arguments(handler) == 3:
            return handler  # type: ignore[no-any-return]
        raise StartupError(
            "import", f"`{text}` can't take mail: expected a handler with handle_DATA() and the like, or an ASGI application"
        )
    return _mail.Handler(handler() if isinstance(handler, type) else handler)


def _is_mail_handler(handler: object) -> bool:
    """What has hooks; or is no function, like aiosmtpd's ``Sink``, which has none."""
    if any(name.startswith("handle_") for name in dir(handler)) or hasattr(handler, "process_message"):
        return True
    return isinstance(handler, type) or not callable(handler)


async def nothing(scope: _interface.Scope, receive: _interface.Receive, send: _interface.Send) -> None:
    """Stand for an application where there are only targets: no address leads here."""
    raise RuntimeError(f"no application takes {scope['type']}")
