"""Handlers of mail in aiosmtpd's manner, its own among them."""

import asyncio
import os
import sys
from typing import Any

from aiosmtpd.handlers import Debugging, Mailbox, Proxy, Sink

MAILBOX = os.environ.get("MAILBOX", "")

debugging = Debugging(sys.stderr)
sink = Sink()
if MAILBOX:
    mailbox = Mailbox(MAILBOX)
    proxy = Proxy("127.0.0.1", int(os.environ["PROXY_TO"]))


def show(session: Any, envelope: Any) -> str:
    names = ("mail_from", "mail_options", "smtp_utf8", "content", "original_content", "rcpt_tos", "rcpt_options")
    of_session = ("peer", "ssl", "host_name", "extended_smtp", "authenticated")
    return repr({name: getattr(session, name) for name in of_session} | {name: getattr(envelope, name) for name in names})


class Plain:
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        assert session.loop is asyncio.get_running_loop()
        assert server.event_handler.__class__ is Plain
        print(f"mail {show(session, envelope)}", flush=True)
        match envelope.content.partition(b"\r\n")[0]:
            case b"raise":
                raise ValueError("as it should")
            case b"nonsense":
                return "I don't know"
            case b"number":
                return 5  # type: ignore[return-value]
            case b"die":
                os.kill(os.getpid(), 9)
        return "250 Message accepted for delivery"


class Knows:
    async def handle_VRFY(self, server: Any, session: Any, envelope: Any, address: str) -> str:
        return f"250 {envelope.mail_from} {envelope.rcpt_tos}"


class Hooks:
    """Every hook, as aiosmtpd documents it."""

    async def handle_HELO(self, server: Any, session: Any, envelope: Any, hostname: str) -> str:
        session.host_name = hostname
        return f"250 {server.hostname} helo {hostname}"

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-X-HOOKED", responses[-1]]

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, mail_options: list[str]) -> str:
        assert envelope.mail_from is None
        if address == "nobody@example.org":
            return "553 not you"
        envelope.mail_from = address
        envelope.mail_options.extend(mail_options)
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, rcpt_options: list[str]) -> str:
        if not address.endswith("@example.com"):
            return "550 not relaying to that domain"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        print(f"hooks {show(session, envelope)} {session.auth_data}", flush=True)
        return "250-first\r\n250 second"

    async def handle_RSET(self, server: Any, session: Any, envelope: Any) -> str:
        assert envelope.mail_from is None
        return "250 all forgotten"

    async def handle_NOOP(self, server: Any, session: Any, envelope: Any, arg: str) -> str:
        if arg == "raise":
            raise KeyError("noop")
        return f"250 {arg!r}"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        return "221 until then"

    async def handle_VRFY(self, server: Any, session: Any, envelope: Any, address: str) -> str:
        return f"252 perhaps {address}"

    async def handle_exception(self, error: Exception) -> str:
        return f"542 {type(error).__name__}"

    def auth_callback(self, mechanism: str, login: bytes, password: bytes) -> bool:
        return mechanism in ("PLAIN", "LOGIN") and (login, password) == (b"joe", b"secret")


class Each:
    """One reply for each recipient, for LMTP."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> Any:
        return [f"250 {address}" if "yes" in address else f"550 {address}" for address in envelope.rcpt_tos]


class Ledger:
    """Takes a mail for good: it is on disk when 250 is said."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        path = os.path.join(os.environ["LEDGER"], envelope.content.split()[1].decode())
        with open(path, "wb") as file:
            file.write(envelope.content)
            os.fsync(file.fileno())
        return "250 OK"


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """The scope smtp, straight."""
    if scope["type"] != "smtp":
        raise RuntimeError(scope["type"])
    print(f"smtp scope {scope}", flush=True)
    await send({"type": "smtp.accept", "commands": ["RCPT"], "auth": False})
    size = 0
    while (message := await receive())["type"] != "smtp.disconnect":
        if message["type"] != "smtp.data":
            print(f"smtp {message}", flush=True)
        if message["type"] == "smtp.command":
            await send({"type": "smtp.reply", "reply": None})
        elif message["type"] == "smtp.data":
            size += len(message["data"])
            if not message["more"]:
                await send({"type": "smtp.reply", "reply": f"250 {size} bytes"})
                size = 0
