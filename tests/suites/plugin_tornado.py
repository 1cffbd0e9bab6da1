"""pytest plugin: the server of Tornado's own test cases is the server under test."""

import logging

import pytest

import report
import tornado_live


def pytest_configure(config: pytest.Config) -> None:
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)  # as Tornado's own test runner has it
    tornado_live.install()
    config.pluginmanager.register(report.Report(lambda: tornado_live.Served.requests))


def pytest_unconfigure() -> None:
    tornado_live.Served.live.stop()
