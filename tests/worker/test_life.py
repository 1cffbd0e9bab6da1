"""Start, drain, stop, death."""

from __future__ import annotations

import os
import select
import signal
import sys

import pytest
from fakeserver import DEADLINE


def test_hello_comes_first(start):
    # spec: process 2
    worker = start("hello:app")
    assert worker.hello["wire"] == 1
    assert worker.hello["pid"] == worker.process.pid
    assert worker.hello["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"awaitd", "executable"} <= set(worker.hello)


def test_another_wire_version_is_refused(start):
    # spec: process 2
    worker = start("hello:app", wire=2)
    failed = worker.message("failed")
    assert (failed["stage"], failed["message"]) == ("setup", "can't talk with a server of wire version 2: this is version 1")
    assert worker.wait() == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nonsense", "can't use the event loop `nonsense`: expected auto, asyncio, uvloop or `module:factory`"),
        ("hello:nothing", "can't use the event loop `hello:nothing`: module 'hello' has no attribute 'nothing'"),
    ],
)
def test_an_event_loop_that_is_not_there(start, name, message):
    assert start("hello:app", loop=name).message("failed")["message"] == message


def test_an_event_loop_of_one_s_own(start):
    worker = start("hello:app", loop="asyncio:new_event_loop").ready()
    assert worker.info["loop"] == "asyncio:new_event_loop"
    assert worker.get()[0] == 200


@pytest.mark.parametrize("target", ["asgi:app", "wsgi:app"])
def test_drain_then_stop(start, target):
    # spec: process 8
    worker = start(target).ready()
    assert worker.get("/hello")[2] == "hello"
    worker.command("drain")
    worker.message("drained")
    assert worker.stop() == 0
    assert worker.output() == ""


def test_drain_waits_for_what_runs(asgi):
    # spec: process 8
    stream = asgi.open("/long_poll")
    stream.next("HEAD")
    asgi.command("drain")
    asgi.get("/hello")
    assert not select.select([asgi.control], [], [], 0)[0]
    stream.reset()
    asgi.message("drained")


def test_stop_cuts_what_runs(asgi):
    # spec: process 8
    asgi.open("/long_poll").next("HEAD")
    assert asgi.stop() == 0
    assert asgi.output() == ""


@pytest.mark.parametrize("target", ["asgi:app", "wsgi:app"])
@pytest.mark.parametrize("threads", [1, 3])
def test_sigterm_stops_the_worker_itself(start, target, threads):
    worker = start(target, threads=threads).ready()
    os.kill(worker.process.pid, signal.SIGTERM)
    assert worker.wait() == 0


@pytest.mark.parametrize("target", ["asgi:app", "wsgi:app"])
def test_sigint_is_the_server_s_business(start, target):
    # spec: process 1
    worker = start(target).ready()
    os.kill(worker.process.pid, signal.SIGINT)
    assert worker.get("/hello")[2] == "hello"


@pytest.mark.parametrize("target", ["asgi:app", "wsgi:app"])
def test_the_end_of_the_control_socket_kills_the_group_of_a_busy_worker(start, target, tmp_path):
    """The application is in a loop of its own, and has a child."""
    # spec: process 15
    read, write = os.pipe()
    os.set_inheritable(write, True)
    worker = start(target, env={"AWAITD_TEST_PIPE": str(write)}, pass_fds=[write]).ready()
    os.close(write)
    stream = worker.open("/spin")
    assert os.read(read, 2) == b"ok"
    worker.control.close()
    assert worker.wait() == -signal.SIGKILL
    # The child had the pipe too: its end says that the child is gone.
    assert select.select([read], [], [], DEADLINE)[0]
    assert os.read(read, 1) == b""
    os.close(read)
    assert stream is not None


def test_children_of_the_application_have_none_of_our_descriptors(asgi):
    # spec: process 18
    assert asgi.get("/child_descriptors")[2] == "[0, 1, 2]"
