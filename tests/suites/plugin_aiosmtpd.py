"""pytest plugin: the controllers of aiosmtpd's tests put their handlers behind the server under test.

The SMTP object that a controller makes is made as ever, and asked for its settings and its handler; it never hears of a client.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tempfile
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiosmtpd.controller
import pytest
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP
from awaitd import _mail

import report
from harness import Server, serve
from mail_bridge import LIMIT, from_line, to_line

HERE = Path(__file__).resolve().parent
OWN_METHODS = {name for name in dir(LMTP) if name.startswith(("smtp_", "auth_"))}


class Way:
    """A server, and the way from its worker back to the handler of the test that runs."""

    def __init__(self, ways: Ways, options: tuple[str, ...]) -> None:
        self.handler: Callable[..., Awaitable[None]] | None = None
        self.ways = ways
        self.open: set[asyncio.StreamWriter] = set()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        path = os.path.join(ways.stack.enter_context(tempfile.TemporaryDirectory(prefix="awaitd-suites-")), "s")
        self.run(asyncio.start_unix_server(self.serve, path, limit=LIMIT))
        env = {"BRIDGE_SOCKET": path, "PYTHONPATH": str(HERE)}
        self.server: Server = ways.stack.enter_context(serve("", HERE, *options, env=env))

    def run(self, made: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(made, self.loop).result(10)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection."""
        self.ways.requests += 1
        self.open.add(writer)

        async def receive() -> dict[str, Any]:
            line = await reader.readline()
            message = from_line(line) if line else {"type": "smtp.disconnect"}
            if message["type"] == "smtp.disconnect":
                return message
            if message["type"] == "smtp.data" and message["more"]:
                return {"type": "smtp.receive", "bytes": message["data"]}
            return {"type": "smtp.receive", "text": json.dumps(message, default=lambda data: base64.b64encode(data).decode())}

        async def send(message: Any) -> None:
            writer.write(to_line(json.loads(message["text"])))

        scope = from_line(await reader.readline())
        scope["client"] = tuple(scope["client"])
        try:
            if self.handler:
                await self.handler(scope, receive, send)
        finally:
            self.open.discard(writer)
            writer.close()

    async def end(self) -> None:
        """No more for this handler."""
        self.handler = None
        for writer in list(self.open):
            writer.close()


class Ways:
    """Servers for each set of options, as many as are in use at once. `requests` counts clients."""

    def __init__(self) -> None:
        self.requests = 0
        self.stack = ExitStack()
        self.known: dict[tuple[str, ...], list[Way]] = {}

    def of(self, *options: str) -> Way:
        known = self.known.setdefault(options, [])
        if not (free := next((way for way in known if not way.handler), None)):
            free = Way(self, options)
            known.append(free)
        return free


ways = Ways()


def options_of(smtpd: SMTP, ssl_context: Any) -> tuple[str, ...]:
    """The options that stand for an SMTP object's settings."""
    changed = {name for name in dir(smtpd) if name.startswith("smtp_")} - OWN_METHODS
    changed |= {
        name
        for name in OWN_METHODS
        if hasattr(SMTP, name) and getattr(type(smtpd), name) not in (getattr(LMTP, name), getattr(SMTP, name))
    }
    if changed:
        raise NotImplementedError(f"commands of an SMTP object's own: {sorted(changed)}")
    scheme = "lmtp" if isinstance(smtpd, LMTP) else "smtps" if ssl_context else "smtp"
    options = ["--bind", f"{scheme}://127.0.0.1:0=mail_bridge:app", "--smtp-hostname", smtpd.hostname]
    options += ["--smtp-max-size", str(smtpd.data_size_limit)] if smtpd.data_size_limit else []
    if smtpd.tls_context or ssl_context:
        certificates = Path(aiosmtpd.controller.__file__).parent / "tests" / "certs"
        options += ["--ssl-certfile", str(certificates / "server.crt"), "--ssl-keyfile", str(certificates / "server.key")]
        options += ["--smtp-tls", "required"] if smtpd.require_starttls else []
    options += [] if smtpd._auth_require_tls else ["--smtp-auth-plaintext"]
    options += ["--smtp-auth", "required"] if smtpd._auth_required else []
    return tuple(options)


def start(self: Any) -> None:
    """In the place of Controller.start."""
    smtpd = self.factory()
    handler = _mail.Handler(smtpd.event_handler() if isinstance(smtpd.event_handler, type) else smtpd.event_handler)
    handler.authenticator = smtpd._authenticator
    handler.auth_callback = smtpd._auth_callback
    self.way = ways.of(*options_of(smtpd, self.ssl_context))
    self.way.handler = handler
    self.hostname, self.port = "127.0.0.1", self.way.server.port("mail_bridge:app")


def stop(self: Any, no_assert: bool = False) -> None:
    assert no_assert or self.way.handler, "not running"
    self.way.run(self.way.end())


aiosmtpd.controller.Controller.start = start
aiosmtpd.controller.Controller.stop = stop


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(report.Report(lambda: ways.requests))


def pytest_unconfigure() -> None:
    ways.stack.close()
