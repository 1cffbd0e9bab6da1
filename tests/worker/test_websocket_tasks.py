"""WebSockets and tasks: who receives, what a wait is to asyncio, cancellation, what the worker keeps alive."""

from __future__ import annotations

import json

import pytest
from sockets import Socket
from test_receive import _log

DEADLINE = 2


@pytest.fixture
def worker(start, loop):
    return start("websocket:app", loop=loop).ready()


def test_each_message_goes_to_one_of_several_receivers(worker):
    socket = Socket(worker, "/two_receivers").accepted()
    assert socket.receive() == "waiting"
    socket.send("first")
    assert socket.receive() == "one"
    socket.close(1000)
    assert _log(worker, 2) == [["first"], ["websocket.disconnect"] * 2]


def test_one_task_receives_and_another_sends(worker):
    socket = Socket(worker, "/reader_and_writer").accepted()
    for n in range(100):
        socket.send(f"message {n}")
    assert [socket.receive() for _ in range(100)] == [f"MESSAGE {n}" for n in range(100)]
    socket.close(1001)
    assert _log(worker, 1) == ["both ended"]


def test_a_receive_that_was_given_up_loses_nothing(worker):
    socket = Socket(worker, "/time_limit").accepted()
    assert socket.receive() == "ready"
    for n in range(4):
        socket.send(f"{n}")
    assert [socket.receive() for _ in range(4)] == ["0", "1", "2", "3"]
    assert _log(worker, 1) == [["cancelled", "a message"]]


def test_a_receive_cancelled_as_its_message_comes_leaves_it_to_the_next(worker):
    socket = Socket(worker, "/cancelled_as_it_comes").accepted()
    assert socket.receive() == "ready"
    socket.send("precious")
    assert socket.receive() == "precious"
    assert _log(worker, 1) == [[[True, True], ["CancelledError", "CancelledError"]]]


def test_a_task_that_a_message_wakes_is_itself(worker):
    socket = Socket(worker, "/direct_step").accepted()
    assert _log(worker, 1) == [[True, False, True]]
    for word in "abc":
        socket.send(word)
        assert socket.receive_json() == [word, True, "the task's own", True, True]


def test_a_message_steps_its_task_at_once(start):
    """Within the callback that takes frames from the links, not in one of its own."""
    worker = start("websocket:app").ready()
    socket = Socket(worker, "/called_by").accepted()
    assert socket.receive() == "ready"
    worker.get("/log")
    socket.send("a")
    assert socket.receive() == "first"
    worker.get("/log")
    socket.send("b")
    alone, among_several = _log(worker, 2)
    assert "AsyncLoop" in alone
    assert "AsyncLoop" not in among_several


def test_what_a_task_waits_on(worker):
    socket = Socket(worker, "/waits_as_a_future").accepted()
    assert socket.receive() == "ready"
    socket.send("hello")
    assert socket.receive() == "hello"
    assert _log(worker, 4) == [
        [False, False, True, True],
        "RuntimeError: the wait is not over",
        "RuntimeError: only the one task that awaits this may wait on it",
        0,
    ]


@pytest.mark.parametrize("path", ["/by_hand", "/python_task"])
def test_other_ways_to_wait(worker, path):
    socket = Socket(worker, path).accepted()
    assert socket.receive() == "ready"
    socket.send("hello")
    assert socket.receive() == "hello"
    assert socket.closed() == (1000, "")
    assert json.loads(worker.get("/log")[2]) == ([True] if path == "/by_hand" else [])


def test_a_child_hears_that_its_parent_has_returned(worker):
    assert Socket(worker, "/leaves_a_child").accepted().closed() == (1000, "")
    assert _log(worker, 2) == [
        {"type": "websocket.disconnect", "code": 1000, "reason": ""},
        "RuntimeError: unexpected ASGI message 'websocket.send': expected nothing, since the application has closed the"
        " connection",
    ]


def test_system_exit_from_a_message_ends_the_worker(worker):
    socket = Socket(worker, "/exits").accepted()
    socket.send("go")
    assert socket.closed() == (1011, "")
    assert worker.wait() == 7
    assert (worker.output().count("Traceback"), worker.output().count("never retrieved")) == (1, 0)


def test_a_deadline_before_the_acceptance_cancels(worker):
    # spec: process 9
    socket = Socket(worker, "/waits_for_ever")
    worker.get("/log")
    socket.stream.reset(DEADLINE)
    assert socket.next("RESET")["aux"] == DEADLINE
    assert _log(worker, 1) == ["cancelled"]
    assert worker.output() == ""


def test_a_stop_cancels_what_does_not_end(worker):
    """After the server has told everyone: the application that does not listen is cancelled, without a word."""
    # spec: websocket 7
    socket = Socket(worker, "/waits_for_ever", query="accept").accepted()
    socket.close(1012)
    assert worker.stop() == 0
    assert worker.output() == ""


def test_idle_ones_outlive_a_collection(worker):
    sockets = [Socket(worker, "/bare").accepted() for _ in range(20)]
    echoes = [Socket(worker, "/echo").accepted() for _ in range(20)]
    worker.get("/collect")
    for socket in echoes:
        socket.send("hello")
    assert [socket.receive() for socket in echoes] == ["hello"] * 20
    for socket in sockets + echoes:
        socket.close(1000)
    worker.command("drain")
    worker.message("drained")


def test_several_links_and_loops(start, loop):
    worker = start("websocket:app", loop=loop, links=2).ready()
    sockets = [Socket(worker, "/echo", link=n % 2).accepted() for n in range(40)]
    for n, socket in enumerate(sockets):
        socket.send(f"{n}")
    assert [socket.receive() for socket in sockets] == [f"{n}" for n in range(40)]
