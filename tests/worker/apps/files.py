"""The application of test_descriptors.py, which sends files: the header x-plan says which part of which, as JSON."""

from __future__ import annotations

import io
import json
import os
import socket
import tempfile
import threading

LOG = []


async def app(scope, receive, send):
    if scope["type"] == "http":
        await CASES[scope["path"]](dict(scope["headers"]), receive, send)


async def start(send, **more):
    await send({"type": "http.response.start", "status": 200, **more})


async def log(headers, receive, send):
    await start(send)
    await send({"type": "http.response.body", "body": json.dumps(LOG).encode()})


async def error_of(send, message):
    try:
        await send(message)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing raised"


async def by_path(headers, receive, send):
    """Sends a file by its path and removes it at once; notes what was raised."""
    path = json.loads(headers[b"x-path"])
    await start(send)
    LOG.append(await error_of(send, {"type": "http.response.pathsend", "path": path}))
    if LOG[-1] == "nothing raised":
        os.unlink(path)
    else:
        await send({"type": "http.response.body", "body": b"none"})


async def planned(headers, receive, send):
    """Opens, seeks, sends, closes at once; notes where the file's position is then."""
    plan = json.loads(headers[b"x-plan"])
    file = open(plan["path"], "rb")  # noqa: SIM115 (closed at once)
    other = os.dup(file.fileno())  # has the same position
    os.lseek(other, plan.get("seek", 0), os.SEEK_SET)
    await start(send)
    message = {"type": "http.response.zerocopysend", "file": file.fileno() if plan.get("number") else file}
    LOG.append(await error_of(send, {**message, **plan.get("range", {})}))
    file.close()
    LOG.append(os.lseek(other, 0, os.SEEK_CUR))
    os.close(other)


async def many(headers, receive, send):
    """Sends a file that is closed at once."""
    await start(send, headers=[(b"x-padding", b"." * 100)])
    with open(headers[b"x-path"], "rb") as file:
        sent = send({"type": "http.response.zerocopysend", "file": file})
    LOG.append("accepted")
    try:
        await sent
    except OSError as error:
        LOG.append(type(error).__name__)


async def parts(headers, receive, send):
    """Parts of a file between other parts of the body; noting where the position is after each."""
    await start(send, trailers=b"x-trailers" in headers)
    with open(headers[b"x-path"], "rb", buffering=0) as file:
        part = {"type": "http.response.zerocopysend", "file": file, "more_body": True}
        await send({"type": "http.response.body", "body": b"<", "more_body": True})
        for numbers in ({"count": 3}, {"offset": 100_000, "count": 70_000}, {}):
            await send({**part, **numbers})
            LOG.append(file.tell())
            await send({"type": "http.response.body", "body": b"|", "more_body": True})
        if headers.get(b"x-last"):
            await send({**part, "offset": 0, "count": 2, "more_body": False})
        else:
            await send({"type": "http.response.body", "body": b">"})


async def shrinking(headers, receive, send):
    """The file is cut while a part of it is on its way."""
    await start(send)
    with open(headers[b"x-path"], "r+b") as file:
        part = send({"type": "http.response.zerocopysend", "file": file, "more_body": True})
        file.truncate(65_536)
        await part


async def off_the_loop(headers, receive, send):
    """Notes which threads read, and how much at once."""
    pread = os.pread

    def noting(descriptor, count, offset):
        LOG.append([threading.current_thread() is threading.main_thread(), count])
        return pread(descriptor, count, offset)

    os.pread = noting
    await start(send)
    with open(headers[b"x-path"], "rb") as file:
        await send({"type": "http.response.zerocopysend", "file": file, "more_body": True})
    os.pread = pread
    await send({"type": "http.response.body"})


async def mistakes(headers, receive, send):
    """What is no regular file, or no part of one."""
    results = []

    async def attempt(file, **more):
        results.append(await error_of(send, {"type": "http.response.zerocopysend", "file": file, **more}))

    pipe, other = os.pipe()
    here, there = socket.socketpair()
    with tempfile.TemporaryFile("r+b", buffering=0) as file:
        await attempt(file)
        await start(send)
        results.append(await error_of(send, {"type": "http.response.zerocopysend"}))
        await attempt("name")
        await attempt(io.BytesIO(b"memory"))
        await attempt(pipe)
        await attempt(here)
        folder = os.open("/", os.O_RDONLY)
        await attempt(folder)
        with open("/dev/null", "rb") as null:
            await attempt(null)
        await attempt(null)
        await attempt(-1)
        await attempt(9999)
        with tempfile.NamedTemporaryFile() as named:
            with open(named.name, "wb") as written:
                await attempt(written)
            with_path = os.open(named.name, os.O_PATH)
            await attempt(with_path)
            os.close(with_path)
        for numbers in ({"offset": -1}, {"offset": "1"}, {"count": -1}, {"count": 2**63}, {"count": 1.0}):
            await attempt(file, **numbers)
    for descriptor in (pipe, other, folder):
        os.close(descriptor)
    here.close()
    there.close()
    await send({"type": "http.response.body", "body": json.dumps(results).encode()})


async def with_trailers(headers, receive, send):
    await start(send, trailers=True)
    with open(headers[b"x-path"], "rb") as file:
        LOG.append(await error_of(send, {"type": "http.response.zerocopysend", "file": file}))
    await send({"type": "http.response.body"})


async def sends_while_asked(headers, receive, send):
    """A file whose fileno() sends."""

    class Sending:
        def fileno(self):
            LOG.append("asked")
            sent.append(send({"type": "http.response.body", "body": b"first"}))
            return file.fileno()

    sent = []
    await start(send)
    with open(headers[b"x-path"], "rb") as file:
        LOG.append(await error_of(send, {"type": "http.response.zerocopysend", "file": Sending()}))
    await sent[0]


async def after_the_client(headers, receive, send):
    await start(send)
    while (await receive())["type"] != "http.disconnect":
        pass
    with open(headers[b"x-path"], "rb") as file:
        more = b"x-more" in headers
        LOG.append(await error_of(send, {"type": "http.response.zerocopysend", "file": file, "count": 9, "more_body": more}))


_CASES = [log, by_path, planned, many, parts, shrinking, off_the_loop, mistakes]
_CASES += [with_trailers, sends_while_asked, after_the_client]
CASES = {f"/{case.__name__}": case for case in _CASES}
