"""Lifespan: auto, on, off."""

from __future__ import annotations

import pytest


def test_startup_state_and_shutdown(start, loop):
    # spec: http 21
    # spec: http 12
    worker = start("lifespans:app", loop=loop).ready()
    assert worker.info["lifespan"] is True
    for _ in range(2):
        assert worker.get()[2] == "{'pool': 'pool', 'seen': 1}"
    assert worker.stop() == 0
    assert worker.output() == "shutting down\nshut down\n"


@pytest.mark.parametrize("target", ["unsupported", "returns", "takes_it_for_http", "takes_it_for_http_in_a_group"])
def test_auto_goes_on_silently_without_support(start, loop, target):
    # spec: http 21
    worker = start(f"lifespans:{target}", loop=loop).ready()
    assert worker.info["lifespan"] is False
    assert worker.get()[2] in ("False", "ok")
    assert worker.stop() == 0
    assert worker.output() == ""


@pytest.mark.parametrize("level", ["debug", "trace"])
@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("unsupported", "it raised AssertionError in its lifespan"),
        ("returns", "it returned without lifespan.startup.complete"),
        ("takes_it_for_http", "it sent what is no lifespan message"),
        ("takes_it_for_http_in_a_group", "it sent what is no lifespan message"),
    ],
)
def test_auto_says_so_in_one_line_at_debug_level(start, loop, target, cause, level):
    # spec: http 21
    worker = start(f"lifespans:{target}", loop=loop, log_level=level).ready()
    assert worker.output() == f"debug: going on without lifespan for `lifespans:{target}`: {cause}\n"


def test_auto_warns_of_a_startup_that_raised(start, loop):
    # spec: http 21
    worker = start("lifespans:raises_in_startup", loop=loop).ready()
    assert worker.get()[2] == "ok"
    assert "going on without lifespan" in worker.output()
    assert "ConnectionError: no database" in worker.output()


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("unsupported", "it raised AssertionError in its lifespan"),
        ("returns", "it returned without lifespan.startup.complete"),
        ("raises_in_startup", "it raised ConnectionError in its lifespan"),
    ],
)
def test_on_demands_it(start, loop, target, cause):
    # spec: http 21
    worker = start(f"lifespans:{target}", loop=loop, lifespan="on")
    failed = worker.message("failed")
    assert (failed["stage"], failed["message"]) == ("lifespan", f"can't start `lifespans:{target}`: {cause}")
    assert worker.wait() == 3


def test_off_leaves_it_out(start, loop):
    # spec: http 21
    worker = start("lifespans:app", loop=loop, lifespan="off").ready()
    assert (worker.info["lifespan"], worker.get()[2]) == (False, "{'seen': 1}")
    assert worker.stop() == 0
    assert worker.output() == ""


def test_startup_failed(start, loop):
    # spec: http 21
    worker = start("lifespans:failing", loop=loop)
    assert worker.message("failed")["message"] == "can't start `lifespans:failing`: lifespan startup failed: no database"
    assert worker.wait() == 3


def test_startup_failed_with_a_traceback(start, loop):
    # spec: http 21
    failed = start("lifespans:failing_with_traceback", loop=loop).message("failed")
    assert failed["message"] == "can't start `lifespans:failing_with_traceback`: lifespan startup failed: KeyError: 1"
    assert failed["traceback"].startswith("Traceback")


def test_shutdown_failed_is_said(start, loop):
    # spec: http 21
    worker = start("lifespans:failing_shutdown", loop=loop).ready()
    assert worker.stop() == 0
    assert "warning: the application's lifespan shutdown failed: no database" in worker.output()


@pytest.mark.parametrize("target", ["exits_at_once", "exits_in_startup"])
@pytest.mark.parametrize("mode", ["auto", "on"])
def test_sys_exit_in_startup_is_a_failed_start(start, loop, target, mode):
    # spec: http 21
    worker = start(f"lifespans:{target}", loop=loop, lifespan=mode)
    failed = worker.message("failed")
    assert failed["message"] == f"can't start `lifespans:{target}`: it raised SystemExit in its lifespan: no configuration"
    assert failed["traceback"].count("Traceback") == 1
    assert worker.wait() == 3
    assert worker.output() == ""


@pytest.mark.parametrize("target", ["exits_after_failing", "fails_and_raises"])
def test_what_is_raised_behind_the_message_is_not_said_again(start, loop, target):
    # spec: http 21
    worker = start(f"lifespans:{target}", loop=loop)
    assert worker.message("failed")["message"] == f"can't start `lifespans:{target}`: lifespan startup failed: no database"
    assert worker.wait() == 3
    assert worker.output() == ""


def test_a_lifespan_that_ends_early_is_said_at_once_and_once(start, loop):
    # spec: http 21
    worker = start("lifespans:exits_after_starting", loop=loop).ready()
    assert worker.get()[2] == "ok"
    assert worker.output().count("SystemExit: no configuration") == 1
    assert worker.stop() == 0
    assert worker.output().count("SystemExit: no configuration") == 1
