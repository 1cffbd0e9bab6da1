"""pytest plugin: the clients of httpx's own tests send over awaitd's transports, by a sidecar.

They take the place of httpx's own where a client makes one. What counts is a request that one of them was given.
"""

from __future__ import annotations

from typing import Any

import awaitd
import httpx
import pytest

import report

sent = 0


class Transport(awaitd.Transport, httpx.HTTPTransport):
    """Counts; and is what tests take a transport for."""

    def handle_request(self, request: Any) -> Any:
        global sent
        sent += 1
        return super().handle_request(request)


class AsyncTransport(awaitd.AsyncTransport, httpx.AsyncHTTPTransport):
    """Likewise."""

    async def handle_async_request(self, request: Any) -> Any:
        global sent
        sent += 1
        return await super().handle_async_request(request)


httpx._client.HTTPTransport = Transport  # type: ignore[attr-defined]
httpx._client.AsyncHTTPTransport = AsyncTransport  # type: ignore[attr-defined]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(report.Report(lambda: sent))
