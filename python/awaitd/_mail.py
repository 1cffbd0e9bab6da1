"""Mail sessions: as ASGI has them (docs/reference/asgi-streams.md), and for handlers written for aiosmtpd.

The server speaks SMTP. It asks the application what it has asked to be asked, and passes on the messages; on the wire that is
JSON, and bytes for the messages themselves.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from ._interface import ASGI3, Receive, Scope, Send
from ._report import warn
from ._tls import extension

Message = MutableMapping[str, Any]

#: The commands that an application may decide about, and aiosmtpd's handlers have hooks for.
COMMANDS = ("HELO", "EHLO", "MAIL", "RCPT", "RSET", "NOOP", "VRFY", "QUIT")


def application(asgi: ASGI3) -> ASGI3:
    """Return an application for the wire that gives ``asgi`` the messages of the ``smtp`` scope."""

    async def smtp(scope: Scope, receive: Receive, send: Send) -> None:
        async def take() -> dict[str, Any]:
            message = await receive()
            if "bytes" in message:
                return {"type": "smtp.data", "data": message["bytes"], "more": True}
            if "text" not in message:
                return {"type": "smtp.disconnect"}
            return _decode(message["text"])

        async def give(message: Message) -> None:
            await send({"type": "smtp.send", "text": json.dumps(dict(message))})

        await asgi(scope, take, give)

    return smtp


def _decode(text: str) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(text)
    if message["type"] == "smtp.data":
        message["data"] = b""
    elif message["type"] == "smtp.tls":
        message["tls"] = extension(json.dumps(message["tls"]).encode())
    elif message["type"] == "smtp.auth":
        for key in ("identity", "login", "password"):
            message[key] = base64.b64decode(message[key] or "")
    return message


class Session:
    """One connection, with the attributes of aiosmtpd's ``Session``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, scope: Scope) -> None:
        self.peer: Any = scope["client"]
        self.ssl: dict[str, Any] | None = scope["extensions"].get("tls")
        self.host_name: str | None = None
        self.extended_smtp = False
        self.loop = loop
        self.proxy_data: Any = None
        self.login_data: Any = None
        self.auth_data: Any = None
        self.authenticated: bool | None = None


class Envelope:
    """One message, with the attributes of aiosmtpd's ``Envelope``."""

    def __init__(self) -> None:
        self.mail_from: str | None = None
        self.mail_options: list[str] = []
        self.smtp_utf8 = False
        self.content: bytes | str | None = None
        self.original_content: bytes | None = None
        self.rcpt_tos: list[str] = []
        self.rcpt_options: list[str] = []


class LoginPassword(NamedTuple):
    """What a client authenticates itself with, as aiosmtpd's authenticators are given it."""

    login: bytes
    password: bytes

    def __repr__(self) -> str:
        return f"LoginPassword(login={self.login!r}, password=...)"

    def __str__(self) -> str:
        return repr(self)


class Handler:
    """A handler's hooks, found once. It is called as an application for the wire, without ``application()`` in between."""

    def __init__(self, handler: object) -> None:
        self.object = handler
        names = [name for name in dir(handler) if name.startswith("handle_")]
        self.hooks: dict[str, Callable[..., Any]] = {name.removeprefix("handle_"): getattr(handler, name) for name in names}
        self.exception = self.hooks.pop("exception", None)
        self.old_ehlo = "EHLO" in self.hooks and len(inspect.signature(self.hooks["EHLO"]).parameters) == 4
        self.commands = [command for command in COMMANDS if command in self.hooks]
        if "EHLO" in self.hooks:
            self.commands.append("LHLO")
        self.greets = bool({"HELO", "EHLO"} & self.hooks.keys())
        self.authenticator = getattr(handler, "authenticator", None)
        self.auth_callback = getattr(handler, "auth_callback", None)
        self.process_message = getattr(handler, "process_message", None)
        if self.old_ehlo:
            warnings.warn(
                "handle_EHLO() with four arguments is as deprecated here as in aiosmtpd", DeprecationWarning, stacklevel=1
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await Conversation(self, scope, receive, send).run()


class Conversation:
    """One connection to a handler. It is what hooks get as ``server``."""

    def __init__(self, handler: Handler, scope: Scope, receive: Receive, send: Send) -> None:
        self.loop = asyncio.get_running_loop()
        self.event_handler = handler.object
        self.session = Session(self.loop, scope)
        self.envelope = Envelope()
        self.hostname = ""
        self._handler = handler
        self._receive, self._send = receive, send
        self._transaction = 0

    async def run(self) -> None:
        """Take what comes until the client has left."""
        auth = bool(self._handler.authenticator or self._handler.auth_callback)
        await self._say({"type": "smtp.accept", "commands": self._handler.commands, "auth": auth})
        parts: list[bytes] = []
        while True:
            received = await self._receive()
            if "bytes" in received:
                parts.append(received["bytes"])
                continue
            if "text" not in received:
                return
            message = _decode(received["text"])
            kind = message["type"]
            if kind == "smtp.data":
                content, parts = b"".join(parts), []
                await self._answer(self._message(content))
            elif kind == "smtp.envelope":
                self._begin(message)
            elif kind == "smtp.command":
                self._begin(message)
                await self._answer(self._command(message))
            elif kind == "smtp.auth":
                await self._authenticate(message)
            elif kind == "smtp.abort":
                parts = []
            elif kind == "smtp.tls" and not self._secured(message):
                return

    async def _say(self, message: Message) -> None:
        await self._send({"type": "smtp.send", "text": json.dumps(message)})

    def _secured(self, message: Message) -> bool:
        """Begin anew in TLS; the hook may want no more of the client."""
        session, hook = self.session, self._handler.hooks.get("STARTTLS")
        self._transaction, self.envelope = message["transaction"], Envelope()
        session.ssl, session.host_name, session.extended_smtp = message["tls"], None, False
        return bool(hook(self, session, self.envelope)) if hook else True

    def _begin(self, message: Message) -> None:
        """Note what the server knows by now; an envelope of its own for each transaction."""
        session, hooks = self.session, self._handler.hooks
        self.hostname = message["hostname"]
        if message["transaction"] != self._transaction:
            self._transaction = message["transaction"]
            self.envelope = Envelope()
        session.extended_smtp = message["extended"]
        if session.host_name is None or not self._handler.greets:
            session.host_name = message["helo"] or None
        mail = message.get("mail")
        if mail and "MAIL" not in hooks:
            self.envelope.mail_from, self.envelope.mail_options = (
                mail["address"] or "<>",  # the null path
                [option.upper() for option in mail["options"]],
            )
        if mail:
            self.envelope.smtp_utf8 = mail["utf8"]
        if "recipients" in message and "RCPT" not in hooks:
            self.envelope.rcpt_tos = [recipient["address"] for recipient in message["recipients"]]
            self.envelope.rcpt_options = [
                option.upper() for recipient in message["recipients"] for option in recipient["options"]
            ]

    async def _answer(self, outcome: Awaitable[Any]) -> None:
        """Send the reply that a hook returns, or what became of it."""
        try:
            reply = await outcome
        except Exception as error:
            reply = await self._failed(error)
        if reply is not None and not isinstance(reply, (str, list)):
            warn(f"a mail hook must return a reply as str, not {type(reply).__name__}")
            reply = "451 4.3.0 the handler gave no reply"
        if isinstance(reply, str):  # what nearly every message ends with: dumps() takes ten times as long
            await self._send({"type": "smtp.send", "text": f'{{"type":"smtp.reply","reply":{encode_basestring_ascii(reply)}}}'})
        else:
            await self._say({"type": "smtp.reply", "reply": reply})

    async def _failed(self, error: Exception) -> str:
        if self._handler.exception:
            try:
                return str(await self._handler.exception(error))
            except Exception as another:
                error = another
        warn("exception in mail handler", error)
        return f"500 Error: ({type(error).__name__}) {error}"

    async def _command(self, message: Message) -> Any:
        """Call the hook of a command."""
        command = message["command"]
        hook = self._handler.hooks[command if command != "LHLO" else "EHLO"]
        common = (self, self.session, self.envelope)
        if command in ("EHLO", "LHLO"):
            if self._handler.old_ehlo:
                return [*message["lines"][:-1], await hook(*common, message["argument"])]
            return await hook(*common, message["argument"], message["lines"])
        if command in ("MAIL", "RCPT"):
            return await hook(*common, message["address"] or "<>", [option.upper() for option in message["options"]])
        if command == "VRFY":
            return await hook(*common, message["address"])
        if command in ("HELO", "NOOP"):
            return await hook(*common, message["argument"])
        return await hook(*common)

    async def _message(self, content: bytes) -> Any:
        """Give a whole message to the handler."""
        envelope, hook = self.envelope, self._handler.hooks.get("DATA")
        envelope.content = envelope.original_content = content
        try:
            if hook:
                return await hook(self, self.session, envelope)
            if self._handler.process_message:
                arguments = (self.session.peer, envelope.mail_from, envelope.rcpt_tos, content)
                result = self._handler.process_message(*arguments)
                return await result if inspect.isawaitable(result) else result
            return None
        finally:
            self._transaction = -1  # the next message has an envelope of its own

    async def _authenticate(self, message: Message) -> None:
        """Ask the handler's ``authenticator`` or ``auth_callback`` about a login."""
        handler, mechanism, data = self._handler, message["mechanism"], LoginPassword(message["login"], message["password"])
        success, text, login = False, None, None
        try:
            if handler.authenticator:
                result = handler.authenticator(self, self.session, self.envelope, mechanism, data)
                result = await result if inspect.isawaitable(result) else result
                success, text, login = result.success, result.message, result.auth_data
            else:
                assert handler.auth_callback
                result = handler.auth_callback(mechanism, data.login, data.password)
                success = bool(await result if inspect.isawaitable(result) else result)
                login = data
        except Exception as error:
            success, text = False, await self._failed(error)
        if success:
            self.session.authenticated, self.session.auth_data = True, login
            self.session.login_data = getattr(login, "login", None)
        await self._say({"type": "smtp.reply", "reply": text, "authenticated": success})
