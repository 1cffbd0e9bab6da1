"""How busy the machine was with other things."""

import os

import pytest

import machine
from machine import Busy
from procs import TICK_US


def test_cpu_line_splits_used_and_stolen_and_leaves_idle_out() -> None:
    line = "cpu  100 10 50 9000 700 1 2 30 5 0"
    assert machine.parse_cpu_line(line) == (163 * TICK_US, 30 * TICK_US)


def test_foreign_share_is_what_is_neither_idle_nor_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    before, after = Busy(10.0, 0.0, 0.0), Busy(11.0, 1_200_000.0, 100_000.0)
    assert machine.foreign_share(before, after, 1_000_000.0) == pytest.approx(0.15)
    assert machine.foreign_share(before, after, 2_000_000.0) == 0.0


def test_python_version_is_its_minor() -> None:
    assert machine.python_version({"python": "3.15.0rc1"}) == (3, 15)
