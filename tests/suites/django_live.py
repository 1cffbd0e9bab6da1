"""The server under test in the place of the one that Django's LiveServerTestCase starts."""

from __future__ import annotations

import socket
import socketserver
import sys
from typing import Any

from django.core.servers import basehttp
from django.test import testcases

from live import Live, bind
from wsgi_side import Exchange


class Handler(socketserver.BaseRequestHandler):
    """One exchange."""

    def handle(self) -> None:
        LiveServer.requests += 1
        exchange = Exchange(self.request)
        try:
            exchange.run(self.server.get_app())
        finally:
            exchange.close()


class LiveServer(basehttp.ThreadedWSGIServer):
    """Django's server, its threads and their database connections, behind ours: it listens where the bridge calls."""

    address_family = socket.AF_UNIX
    options: tuple[str, ...] = ()
    requests = 0

    def __init__(self, address: tuple[str, int], _: object, **options: Any) -> None:
        self.live = Live("wsgi", *self.options, *(bind(address[1]) if address[1] else ()))
        super().__init__(self.live.socket, Handler, **options | {"allow_reuse_address": False})

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)

    def server_activate(self) -> None:
        super().server_activate()
        self.server_address = (self.live.host, self.live.port)

    def server_close(self) -> None:
        super().server_close()
        self.live.stop()


class SingleThreadLiveServer(LiveServer):
    """The same in the place of a `WSGIServer`: the worker has one thread."""

    options = ("--threads", "1")


def install() -> None:
    basehttp.ThreadedWSGIServer = testcases.ThreadedWSGIServer = testcases.LiveServerThread.server_class = LiveServer


def install_single() -> None:
    """For the tests that take Django's other server, once they are loaded."""
    if module := sys.modules.get("servers.tests"):
        vars(module)["WSGIServer"] = SingleThreadLiveServer
