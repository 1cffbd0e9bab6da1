"""http.response.zerocopysend: descriptors over the control socket, and parts that are read here."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable

import pytest
from fakeserver import DEADLINE, Worker
from frames import END_STREAM
from test_receive import _log

CONTENT = bytes(n * 7 % 251 for n in range(200_000))
RING = 16384
NO_FILE = "path of http.response.pathsend must name a regular file"


@pytest.fixture
def path(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    return tmp_path / "file"


@pytest.fixture
def files(start, loop):
    return start("files:app", loop=loop).ready()


def ask(worker: Worker, case: str, **headers: object):
    fields = [["x-" + name, value if isinstance(value, str) else json.dumps(value)] for name, value in headers.items()]
    return worker.open(f"/{case}", fields=fields)


def passed(worker: Worker, frame: dict) -> bytes:
    """What the server would send for a FILE frame."""
    token, descriptor = worker.descriptor()
    try:
        assert (frame["type"], frame["aux"], frame["flags"], frame["token"]) == ("FILE", 1, END_STREAM, token)
        return os.pread(descriptor, frame["count"], frame["offset"])
    finally:
        os.close(descriptor)


def open_files(worker: Worker) -> int:
    return len(os.listdir(f"/proc/{worker.process.pid}/fd"))


def wait_until(worker: Worker, look: Callable[[], bool]) -> None:
    """Wait until the worker has taken all that was written, and it looks as it should."""
    end = time.monotonic() + DEADLINE
    while not (worker.links[0].consumed and look()):
        assert time.monotonic() < end, f"{open_files(worker)} descriptors are open; the worker wrote:\n{worker.output()}"


def settle(worker: Worker, count: int) -> None:
    """Wait until the worker has no more than so many descriptors open."""
    wait_until(worker, lambda: open_files(worker) == count)


@pytest.mark.parametrize("number", [False, True])
@pytest.mark.parametrize(
    ("seek", "range", "part", "position"),
    [
        (0, {}, (0, 200_000), 200_000),
        (1000, {}, (1000, 199_000), 200_000),
        (1000, {"count": 50}, (1000, 50), 1050),
        (1000, {"count": None, "offset": None}, (1000, 199_000), 200_000),
        (1000, {"offset": 20}, (20, 199_980), 1000),
        (1000, {"offset": 20, "count": 30}, (20, 30), 1000),
        (199_990, {"count": 50}, (199_990, 10), 200_000),
        (300_000, {}, (200_000, 0), 300_000),
        (0, {"offset": 2**62, "count": 2**62}, (200_000, 0), 0),
        (7, {"count": 0}, (7, 0), 7),
    ],
)
def test_the_last_part_is_a_descriptor_and_a_range(files, path, number, seek, range, part, position):
    # spec: http 20
    stream = ask(files, "planned", plan={"path": str(path), "seek": seek, "range": range, "number": number})
    assert stream.next("HEAD")["flags"] == 0
    frame = stream.next("FILE")
    assert (frame["offset"], frame["count"]) == part
    assert passed(files, frame) == CONTENT[part[0] : part[0] + part[1]]
    assert _log(files, 2) == ["nothing raised", position]


def test_a_path_is_opened_before_send_returns(files, path):
    # spec: http 20
    stream = ask(files, "by_path", path=json.dumps(str(path)))
    assert stream.next("HEAD")["flags"] == 0
    frame = stream.next("FILE")
    assert (frame["offset"], frame["count"]) == (0, 200_000)
    assert passed(files, frame) == CONTENT
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "raised"),
    [
        ("/nowhere/at/all", "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/at/all'"),
        ("/", f"ValueError: {NO_FILE}, but '/' is a directory"),
        ("/dev/null", f"ValueError: {NO_FILE}, but '/dev/null' is a character device"),
        ("relative", "FileNotFoundError: [Errno 2] No such file or directory: 'relative'"),
        ("/a\0b", "ValueError: embedded null byte"),
        (None, "TypeError: path of http.response.pathsend must be a str, not NoneType"),
        (5, "TypeError: path of http.response.pathsend must be a str, not int"),
    ],
)
def test_a_path_that_can_t_be_sent_is_an_exception_at_the_caller(files, name, raised):
    # spec: http 17
    # spec: http 20
    before = open_files(files)
    assert ask(files, "by_path", path=json.dumps(name)).response()[2] == "none"
    assert _log(files, 1) == [raised]
    settle(files, before)


def test_what_is_no_regular_file_is_an_exception_at_the_caller(files):
    # spec: http 17
    message = "http.response.zerocopysend"
    file = f"file of {message} must be"
    assert json.loads(files.get("/mistakes")[2]) == [
        f"RuntimeError: unexpected ASGI message '{message}': expected 'http.response.start'",
        f"TypeError: {file} an open file with a descriptor, or the descriptor, not missing",
        f"TypeError: {file} an open file with a descriptor, or the descriptor, not str",
        f"TypeError: {file} an open file with a descriptor, or the descriptor, not _io.BytesIO",
        f"ValueError: {file} a regular file, not a pipe",
        f"ValueError: {file} a regular file, not a socket",
        f"ValueError: {file} a regular file, not a directory",
        f"ValueError: {file} a regular file, not a character device",
        "ValueError: I/O operation on closed file",
        "ValueError: file descriptor cannot be a negative integer (-1)",
        "OSError: [Errno 9] Bad file descriptor",
        f"ValueError: {file} open for reading",
        f"ValueError: {file} open for reading",
        f"ValueError: offset of {message} must be from 0 to 2**63 - 1, got -1",
        f"TypeError: offset of {message} must be an int, not str",
        f"ValueError: count of {message} must be from 0 to 2**63 - 1, got -1",
        f"ValueError: count of {message} must be from 0 to 2**63 - 1, got 9223372036854775808",
        f"TypeError: count of {message} must be an int, not float",
    ]
    assert not select.select([files.control], [], [], 0)[0]


def test_the_last_part_leaves_no_room_for_trailers(files, path):
    ask(files, "with_trailers", path=str(path)).next("HEAD")
    assert _log(files, 1) == ["ValueError: the last http.response.zerocopysend can't be combined with trailers"]


def test_a_fileno_that_sends_comes_first(files, path):
    assert ask(files, "sends_while_asked", path=str(path)).response()[2] == "first"
    assert _log(files, 2) == [
        "asked",
        "RuntimeError: unexpected ASGI message 'http.response.zerocopysend': expected nothing, since the response is complete",
    ]


@pytest.mark.parametrize("end", [">", "file"])
def test_parts_with_more_behind_them_are_body_messages(files, path, end):
    # spec: http 20
    stream = ask(files, "parts", path=str(path), **({"last": "1"} if end == "file" else {}))
    head = stream.next("HEAD")
    body, frame = head["body"], stream.next("DATA", "FILE", "END")
    while frame["type"] == "DATA":
        assert frame["length"] <= 65536
        body += frame["body"]
        stream.window(frame["length"])
        if frame["flags"] & END_STREAM:
            break
        frame = stream.next("DATA", "FILE", "END")
    parts = [CONTENT[:3], CONTENT[100_000:170_000], CONTENT[3:], b">" if end == ">" else b""]
    assert body.encode("latin-1") == b"<" + b"|".join(parts)
    if end == "file":
        assert passed(files, frame) == CONTENT[:2]
    assert _log(files, 3) == [3, 3, 200_000]


def test_parts_with_more_behind_them_go_with_trailers(files, path):
    stream = ask(files, "parts", path=str(path), trailers="1")
    body = stream.next("HEAD")["body"]
    while not body.endswith("|>"):
        frame = stream.next("DATA")
        stream.window(frame["length"])
        body += frame["body"]
    assert stream.next("END")["fields"] == []


def test_a_file_that_shrinks_is_an_exception(files, path):
    stream = ask(files, "shrinking", path=str(path))
    length, frame = 0, stream.next("HEAD")
    while frame["type"] != "RESET":
        length += frame["length"]
        frame = stream.next("DATA", "RESET")
    assert (length, frame["aux"]) == (65536, 1)
    assert "OSError: the file has shrunk while it was sent: 134464 bytes are missing" in files.output()


def test_parts_are_read_off_the_loop(files, path):
    stream = ask(files, "off_the_loop", path=str(path))
    assert stream.response()[2].encode("latin-1") == CONTENT
    assert _log(files, 4) == [[False, 65536]] * 3 + [[False, 200_000 - 3 * 65536]]


@pytest.mark.parametrize("more", [{}, {"more": "1"}])
def test_a_client_that_left(files, path, more):
    # spec: http 15
    before = open_files(files)
    stream = ask(files, "after_the_client", path=str(path), **more)
    stream.next("HEAD")
    stream.reset()
    assert _log(files, 1) == ["ClientDisconnected: the client is gone"]
    assert not select.select([files.control], [], [], 0)[0]
    settle(files, before)


@pytest.fixture
def small(start, loop):
    """A worker whose ring holds about a hundred answers."""
    return start("files:app", loop=loop, ring_size=RING).ready()


def test_files_wait_for_room_in_the_ring_and_may_be_closed_meanwhile(small, path):
    # spec: http 24
    before = open_files(small)
    streams = [ask(small, "many", path=str(path)) for _ in range(150)]
    settle_waiting(small, before)
    for stream in streams:
        stream.next("HEAD")
        assert passed(small, stream.next("FILE")) == CONTENT
    settle(small, before)
    assert _log(small, 150) == ["accepted"] * 150
    small.command("drain")
    small.message("drained")


def test_files_that_wait_are_closed_when_their_clients_leave(small, path):
    # spec: http 15
    before = open_files(small)
    streams = [ask(small, "many", path=str(path)) for _ in range(150)]
    settle_waiting(small, before)
    for stream in streams:
        stream.reset()
    settle(small, before)
    while small.links[0].read() is not None:
        pass
    log = json.loads(small.get("/log")[2])
    assert 0 < log.count("ClientDisconnected") == len(log) - 150
    small.command("drain")
    message = small.message()
    while message["type"] == "descriptor":
        message = small.message()
    assert message["type"] == "drained"


def settle_waiting(worker: Worker, before: int) -> None:
    """Wait until the worker keeps files that could not go."""
    wait_until(worker, lambda: open_files(worker) > before)


@pytest.mark.parametrize("links", [1, 3])
def test_no_more_descriptors_are_passed_than_the_server_keeps(start, path, links):
    """The server keeps 256 whose FILE frame it has not come to, for all links together."""
    worker = start("files:app", links=links, ring_size=1 << 18).ready()
    before = open_files(worker)
    most = 256 // links
    fields = [["x-path", str(path)]]
    streams = [worker.open("/many", fields=fields) for _ in range(most + 40)]
    settle(worker, before + 40)
    tokens = []
    while select.select([worker.control], [], [], 0)[0]:
        token, descriptor = worker.descriptor()
        tokens.append(token)
        os.close(descriptor)
    assert len(tokens) == most
    frames = [stream.next("HEAD") and stream.next("FILE") for stream in streams[: most - 1]]
    streams.append(worker.open("/many", fields=fields))
    settle(worker, before + 41)  # the last of them is still to be come to
    frames += [stream.next("HEAD") and stream.next("FILE") for stream in streams[most - 1 :]]
    for _ in range(41):
        token, descriptor = worker.descriptor()
        tokens.append(token)
        os.close(descriptor)
    assert [frame["token"] for frame in frames] == tokens
    assert len(set(tokens)) == most + 41
    settle(worker, before)


def test_loops_of_one_worker_share_the_tokens(start, path):
    worker = start("files:app", loops=2).ready()
    tokens = set()
    for link in (0, 1, 0, 1):
        stream = worker.open("/many", link=link, fields=[["x-path", str(path)]])
        stream.next("HEAD")
        tokens.add(stream.next("FILE")["token"])
        os.close(worker.descriptor()[1])
    assert len(tokens) == 4


def test_a_full_control_socket_delays_and_loses_nothing(start, path):
    """Its buffer has room for a few descriptors only; the server reads it whatever else it does."""
    worker = start("files:app", control_buffer=4608).ready()
    streams = [worker.open("/many", fields=[["x-path", str(path)]]) for _ in range(100)]
    tokens = []
    for _ in streams:
        token, descriptor = worker.descriptor()
        tokens.append(token)
        os.close(descriptor)
    assert [stream.next("HEAD") and stream.next("FILE")["token"] for stream in streams] == tokens
    assert _log(worker, 100) == ["accepted"] * 100
