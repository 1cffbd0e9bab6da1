"""pytest plugin: the sessions of requests' own tests send over awaitd's adapter, by a sidecar.

It takes the place of requests' own where a session makes one. What counts is a request that it was given.
"""

from __future__ import annotations

from typing import Any

import awaitd
import pytest
import requests.sessions

import report

sent = 0


class Adapter(awaitd.RequestsAdapter):
    """Counts."""

    def send(self, *arguments: Any, **keywords: Any) -> Any:
        global sent
        sent += 1
        return super().send(*arguments, **keywords)


requests.sessions.HTTPAdapter = Adapter  # type: ignore[misc]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(report.Report(lambda: sent))
