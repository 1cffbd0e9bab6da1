"""The application's task: eager, real, cancellable, in a context of its own; exceptions; what the worker keeps alive."""

from __future__ import annotations

import json
import sys

import pytest
from test_receive import _log

DEADLINE = 2


def test_it_is_a_real_task_with_its_own_context(asgi):
    # spec: http 23
    for _ in range(3):
        assert json.loads(asgi.get("/task")[2]) == [True, "unset", "app"]


def test_it_starts_at_once_and_leaves_the_loop_as_it_was(asgi):
    assert asgi.get("/eager")[2] == "0"
    assert _log(asgi, 1) == [False]


def test_it_is_among_all_tasks(asgi):
    # spec: http 23
    for _ in range(3):
        assert json.loads(asgi.get("/among_tasks")[2]) == [True, True, False]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="asyncio keeps its set in C")
def test_finished_tasks_leave_the_set_even_while_it_is_iterated(asgi):
    asgi.get("/tasks_while_iterated")
    for _ in range(3):
        assert asgi.get("/hello")[2] == "hello"
    assert asgi.get("/tasks_while_iterated")[2] == "0"


def test_finalizers_that_use_the_loop_lose_nothing(asgi):
    """A collection inside the Task's constructor runs finalizers that call call_soon and create_task."""
    asgi.get("/garbage")
    for _ in range(30):
        assert asgi.get("/hello")[2] == "hello"
    log = _log(asgi, 40)
    assert (log.count("callback"), log.count("task")) == (20, 20)


def test_a_task_factory_is_honoured(asgi):
    # spec: http 23
    asgi.get("/factory_on")
    assert asgi.get("/hello")[2] == "hello"
    assert "factory" in _log(asgi, 1)


@pytest.mark.parametrize("target", ["asgi:instance", "asgi:Awaitable"])
def test_forms_of_an_application(start, loop, target):
    # spec: http 12
    worker = start(target, loop=loop).ready()
    assert worker.info["interface"] == "asgi3"
    assert worker.get("/hello")[2] == "hello"
    assert json.loads(worker.get("/task")[2])[:2] == [True, "unset"]


def test_asgi_2(start, loop):
    # spec: http 22
    worker = start("asgi:double", loop=loop).ready()
    assert (worker.info["interface"], worker.get("/")[2]) == ("asgi2", '"2.0"')


def test_an_application_that_returns_no_awaitable(start, loop):
    worker = start("asgi:returns_nothing", loop=loop, interface="asgi3").ready()
    assert worker.open("/").next("RESET")["aux"] == 1
    assert "TypeError: the application must return an awaitable, got NoneType" in worker.output()


def test_an_exception_before_the_start(asgi):
    # spec: http 18
    frame = asgi.open("/raise_before", id="00000000deadbeef").next()
    assert (frame["type"], frame["aux"], frame["body"]) == ("RESET", 1, "ValueError")
    output = asgi.output()
    assert output.count("exception in ASGI application [id 00000000deadbeef]") == 1
    assert output.count("ValueError: before the start") == 1
    assert "awaitd" not in output.split("]", 1)[1]


def test_an_exception_after_the_start(asgi):
    # spec: http 18
    stream = asgi.open("/raise_after")
    assert stream.next("HEAD")["body"] == "part"
    assert stream.next("RESET")["aux"] == 1
    assert asgi.output().count("ValueError: after the start") == 1


def test_the_application_s_own_error_page_wins(asgi):
    # spec: http 18
    status, _, body = asgi.get("/own_error_page")
    assert (status, body) == (500, "my own page")
    assert asgi.output().count("ValueError: with a page") == 1


def test_no_response(asgi):
    # spec: http 18
    assert asgi.open("/no_response", id="000000000000001f").next()["type"] == "RESET"
    assert "error in ASGI application [id 000000000000001f]: the application returned without a response\n" in asgi.output()


def test_half_a_response(asgi):
    # spec: http 18
    stream = asgi.open("/half_response")
    assert stream.next()["type"] == "RESET"
    assert "the application returned before the end of its response" in asgi.output()


@pytest.mark.parametrize("path", ["/exit", "/exit_later"])
def test_system_exit_ends_the_worker_after_the_bookkeeping_and_is_said_once(asgi, path):
    assert asgi.open(path).next()["type"] == "RESET"
    assert asgi.wait() == 7
    output = asgi.output()
    assert output.startswith("exception in ASGI application [id ")
    assert (output.count("SystemExit"), output.count("Traceback"), output.count("never retrieved")) == (1, 1, 0)


def test_another_base_exception_is_said_once_too(asgi):
    assert asgi.open("/raise_base").next()["type"] == "RESET"
    asgi.get("/collect")
    assert (asgi.output().count("Ending: of all"), asgi.output().count("never retrieved")) == (1, 0)


def test_a_deadline_cancels_the_application(asgi):
    # spec: process 9
    stream = asgi.open("/cancelled")
    asgi.get("/hello")
    stream.reset(DEADLINE)
    assert stream.next()["type"] == "RESET"  # it has ended: the server may have the place back
    assert _log(asgi, 1) == ["cancelled"]
    assert "CancelledError" not in asgi.output()


def test_the_end_after_a_deadline_is_said_when_the_application_has_cleaned_up(asgi):
    # spec: process 9
    stream = asgi.open("/cleans_up")
    asgi.get("/hello")
    stream.reset(DEADLINE)
    assert asgi.get("/open_gate")[0] == 200
    assert stream.next()["type"] == "RESET"
    assert _log(asgi, 2) == ["the client is gone", "cleaned up"]


def test_background_work_counts_for_drain(asgi):
    # spec: http 23
    assert asgi.get("/background")[2] == "early"
    asgi.command("drain")
    assert asgi.get("/open_gate")[0] == 200
    asgi.message("drained")


def test_a_task_that_only_we_hold_is_not_collected(asgi):
    stream = asgi.open("/collectable")
    asgi.get("/collect")
    stream.reset(DEADLINE)
    asgi.command("drain")
    asgi.message("drained")
    assert asgi.output() == ""
