"""wsgi.file_wrapper: what goes as a descriptor, and what is read."""

from __future__ import annotations

import json
import os
import select
from urllib.parse import quote

import pytest
from frames import END_STREAM
from test_descriptors import open_files, passed, settle
from test_receive import _log

CONTENT = bytes(n * 7 % 251 for n in range(200_000))
READ_ERROR = "TypeError: the application's iterable must yield bytes, not "


@pytest.fixture
def path(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    return str(tmp_path / "file")


@pytest.fixture(params=[1, 3])
def files(start, request):
    return start("wsgi_files:app", threads=request.param).ready()


def ask(worker, kind, path, method="GET", **plan):
    query = quote(json.dumps({"kind": kind, "path": path, **plan}))
    return worker.open("/wrap", query=query, method=method)


def nothing_passed(worker):
    return not select.select([worker.control], [], [], 0)[0]


def body_of(worker, stream):
    """What the client gets by a FILE, and by how much of it."""
    head = stream.next("HEAD")
    assert head["flags"] == 0
    frame = stream.next("FILE")
    return head, frame, head["body"].encode("latin-1") + passed(worker, frame)


@pytest.mark.parametrize("kind", ["buffered", "raw", "random", "delegating", "named temporary", "delegating to temporary"])
def test_a_regular_file_goes_as_a_descriptor(files, path, kind):
    # spec: wsgi 6
    before = open_files(files)
    head, frame, body = body_of(files, ask(files, kind, path))
    assert (head["fields"], body) == ([["content-length", "200000"]], CONTENT)
    assert (frame["offset"], frame["count"]) == (0, 200_000)
    settle(files, before)


@pytest.mark.parametrize("kind", ["buffered", "raw", "random", "named temporary"])
@pytest.mark.parametrize(
    ("plan", "offset"),
    [({"read": 10}, 10), ({"seek": 150_000}, 150_000), ({"read": 20_000, "seek": 5}, 5), ({"read": 9000}, 9000)],
)
def test_it_begins_where_the_application_has_read_to(files, path, kind, plan, offset):
    # spec: wsgi 6
    head, frame, body = body_of(files, ask(files, kind, path, **plan))
    assert (frame["offset"], head["fields"]) == (offset, [["content-length", str(200_000 - offset)]])
    if kind != "named temporary" or "read" not in plan:
        assert body == CONTENT[offset:]


def test_what_was_written_and_not_yet_flushed_is_there(files, path):
    _, _, body = body_of(files, ask(files, "unflushed", path, seek=199_990))
    assert body == CONTENT[199_990:] + b"unflushed"


@pytest.mark.parametrize(
    ("plan", "fields", "count"),
    [
        ({"headers": [["Content-Length", "50"]]}, [["Content-Length", "50"]], 50),
        ({"headers": [["content-length", "500000"]]}, [["content-length", "500000"]], 200_000),
        ({"headers": [["content-length", "0200"]], "seek": 100}, [["content-length", "0200"]], 200),
        ({"headers": [["X", "y"]], "status": "206 Part of it"}, [["X", "y"], ["content-length", "200000"]], 200_000),
        ({"headers": [["X", "y"]], "write": "abc"}, [["X", "y"]], 200_000),
        ({"headers": [["Content-Length", "10"]], "write": "abc"}, [["Content-Length", "10"]], 7),
    ],
)
def test_no_more_than_the_content_length(files, path, plan, fields, count):
    # spec: wsgi 6
    # spec: wsgi 2
    head, frame, body = body_of(files, ask(files, "buffered", path, **plan))
    offset = plan.get("seek", 0)
    assert (head["fields"], frame["count"]) == (fields, count)
    assert body == plan.get("write", "").encode() + CONTENT[offset : offset + count]
    assert head.get("phrase", "") == plan.get("status", "200 OK")[4:].replace("OK", "")


@pytest.mark.parametrize(
    ("method", "plan", "fields"),
    [
        ("HEAD", {}, [["content-length", "200000"]]),
        ("HEAD", {"headers": [["content-length", "7"]]}, [["content-length", "7"]]),
        ("GET", {"status": "204 No Content"}, []),
        ("GET", {"status": "304 Not Modified"}, []),
    ],
)
def test_where_there_is_no_body_nothing_is_passed(files, path, method, plan, fields):
    # spec: wsgi 6
    # spec: wsgi 9
    frame = ask(files, "buffered", path, method, closed=True, **plan).next("HEAD")
    assert (frame["flags"], frame["fields"], frame["length"]) == (END_STREAM, fields, 0)
    assert nothing_passed(files)
    assert _log(files, 1) == ["closed"]


def test_close_comes_at_once_and_once(files, path):
    # spec: wsgi 5
    before = open_files(files)
    stream = ask(files, "buffered", path, closed=True)
    assert _log(files, 1) == ["closed"]
    settle(files, before)
    assert body_of(files, stream)[2] == CONTENT


@pytest.mark.parametrize("kind", ["memory", "gzip", "bz2", "pipe", "socket", "spooled"])
def test_what_is_no_regular_file_is_read(files, path, kind):
    # spec: wsgi 6
    before = open_files(files)
    status, fields, body = ask(files, kind, path, closed=True).response()
    assert (status, fields, body.encode("latin-1")) == (200, [], CONTENT)
    assert nothing_passed(files)
    assert _log(files, 1) == ["closed"]
    settle(files, before)


@pytest.mark.parametrize("kind", ["shouting", "subclass", "raw subclass"])
def test_what_reads_something_else_is_read(files, path, kind):
    # spec: wsgi 6
    assert ask(files, kind, path).response()[2].encode("latin-1") == CONTENT.upper()
    assert nothing_passed(files)


@pytest.mark.parametrize("kind", ["patched", "another method"])
def test_a_file_whose_read_was_replaced_is_read(files, path, kind):
    body = ask(files, kind, path).response()[2].encode("latin-1")
    assert body == CONTENT if kind == "another method" else CONTENT.startswith(body[:10])
    assert nothing_passed(files)


def test_middleware_that_iterates_gets_blocks(files, path):
    # spec: wsgi 6
    assert ask(files, "buffered", path, middleware=True).response()[2].encode("latin-1") == CONTENT
    assert nothing_passed(files)


@pytest.mark.parametrize(("block", "sizes"), [([], [65536] * 5), ([50_000], [50_000] * 5)])
def test_the_size_of_blocks(files, path, block, sizes):
    # spec: wsgi 6
    assert ask(files, "memory", path, noted=True, block=block).response()[2].encode("latin-1") == CONTENT
    assert _log(files, 6) == [*sizes, "closed"]


@pytest.mark.parametrize("path", ["/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled"])
def test_files_that_tell_no_true_size_are_read(files, path):
    if not os.path.exists(path):
        pytest.skip("not on this machine")
    with open(path, "rb") as file:
        content = file.read()
    status, fields, body = ask(files, "buffered", path).response()
    assert (status, fields) == (200, [])
    assert body.partition("\n")[0].startswith("Name:") if "proc" in path else body.encode() == content
    assert nothing_passed(files)


def test_an_empty_file(files, tmp_path):
    (tmp_path / "empty").touch()
    frame = ask(files, "buffered", str(tmp_path / "empty")).next("HEAD")
    assert (frame["flags"], frame["length"]) == (END_STREAM, 0)


@pytest.mark.parametrize(
    ("kind", "plan", "error"),
    [
        ("text", {}, READ_ERROR + "str"),
        ("detached", {}, "ValueError: raw stream has been detached"),
        ("write only", {}, "io.UnsupportedOperation: File not open for reading"),
        ("buffered", {"start": False}, "AssertionError: the application did not call start_response before its first output"),
    ],
)
def test_mistakes(files, path, kind, plan, error):
    # spec: wsgi 5
    # spec: wsgi 9
    before = open_files(files)
    assert ask(files, kind, path, **plan).next()["type"] == "RESET"
    assert files.get("/log")[0] == 200
    assert files.output().endswith(error + "\n")
    assert nothing_passed(files)
    if kind != "detached":
        settle(files, before)


def take(worker, streams):
    """The bodies of some responses, whose descriptors come in any order."""
    frames = [stream.next("HEAD") and stream.next("FILE") for stream in streams]
    descriptors = dict(worker.descriptor() for _ in streams)
    bodies = [os.pread(descriptors[frame["token"]], frame["count"], frame["offset"]) for frame in frames]
    for descriptor in descriptors.values():
        os.close(descriptor)
    return bodies


@pytest.mark.parametrize("threads", [1, 4])
def test_files_wait_for_room_in_the_ring(start, path, threads):
    """A ring of 16 KiB, and more than fits: the server takes nothing until all were asked for."""
    # spec: wsgi 6
    # spec: http 24
    worker = start("wsgi_files:app", threads=threads, ring_size=16384).ready()
    before = open_files(worker)
    streams = [ask(worker, "buffered", path, fill=3000) for _ in range(30)]
    assert take(worker, streams) == [CONTENT] * 30
    settle(worker, before)


@pytest.mark.parametrize("threads", [1, 4])
def test_clients_that_leave_while_their_files_wait(start, path, threads):
    # spec: wsgi 12
    worker = start("wsgi_files:app", threads=threads, ring_size=16384).ready()
    before = open_files(worker)
    streams = [ask(worker, "buffered", path, fill=3000, closed=True) for _ in range(20)]
    for stream in streams:
        stream.reset()
    while len(json.loads(worker.get("/log")[2])) < 20:
        pass
    settle(worker, before)
    assert worker.output() == ""


def test_no_more_descriptors_are_passed_than_the_server_keeps(start, path):
    worker = start("wsgi_files:app", links=4, ring_size=1 << 18, threads=2).ready()
    streams = [ask(worker, "buffered", path) for _ in range(80)]
    taken = [worker.descriptor() for _ in range(64)]
    assert nothing_passed(worker)
    frames = [stream.next("HEAD") and stream.next("FILE") for stream in streams]
    taken += [worker.descriptor() for _ in range(16)]
    assert sorted(frame["token"] for frame in frames) == sorted(token for token, _ in taken)
    for _, descriptor in taken:
        os.close(descriptor)
