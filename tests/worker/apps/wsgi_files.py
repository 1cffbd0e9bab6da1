"""A WSGI application that wraps files in wsgi.file_wrapper: which, and how, is said by the request's header fields."""

# ruff: noqa: SIM115 (files that the server closes)

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import socket
import tempfile
import threading
from urllib.parse import unquote

LOG = []


class Delegating:
    """Django's File: ``read`` and its like are those of the file inside."""

    def __init__(self, file):
        self.file = file
        self.read = file.read
        self.close = file.close


class Shouting:
    """Looks like a file, and has the descriptor of one, but reads something else."""

    def __init__(self, file):
        self.file = file
        self.fileno = file.fileno
        self.close = file.close

    def read(self, size):
        return self.file.read(size).upper()


class Subclass(io.FileIO):
    def readinto(self, buffer):
        size = super().readinto(buffer)
        buffer[:size] = bytes(buffer[:size]).upper()
        return size

    def read(self, size=-1):
        return super().read(size).upper()


def named_temporary(path):
    file = tempfile.NamedTemporaryFile()
    with open(path, "rb") as source:
        file.write(source.read())
    file.seek(0)
    return file


def unflushed(path):
    """Its last bytes are in its buffer only."""
    file = open(path, "r+b")
    file.seek(0, os.SEEK_END)
    file.write(b"unflushed")
    return file


def pipe(path):
    reader, writer = os.pipe()

    def write():
        with open(path, "rb") as source, open(writer, "wb") as sink:
            sink.write(source.read())

    threading.Thread(target=write).start()
    return open(reader, "rb")


def connected(path):
    ours, theirs = socket.socketpair()

    def write():
        with open(path, "rb") as source, theirs:
            theirs.sendall(source.read())

    threading.Thread(target=write).start()
    with ours:
        return ours.makefile("rb")


def compressed(opened):
    def make(path):
        with opened(path + ".packed", "wb") as sink, open(path, "rb") as source:
            sink.write(source.read())
        return opened(path + ".packed", "rb")

    return make


def detached(path):
    file = open(path, "rb")
    file.detach()
    return file


def patched(path):
    file = open(path, "rb")
    line = file.readline
    file.read = lambda size: line(size)[:10]
    return file


def another_method(path):
    file = open(path, "rb")

    class Lines:
        read = file.readline
        close = file.close

    return Lines()


def spooled(path):
    file = tempfile.SpooledTemporaryFile()
    with open(path, "rb") as source:
        file.write(source.read())
    file.rollover()
    file.seek(0)
    return file


KINDS = {
    "buffered": lambda path: open(path, "rb"),
    "raw": lambda path: open(path, "rb", buffering=0),
    "random": lambda path: open(path, "r+b"),
    "delegating": lambda path: Delegating(open(path, "rb")),
    "named temporary": named_temporary,
    "delegating to temporary": lambda path: Delegating(named_temporary(path)),
    "unflushed": unflushed,
    "memory": lambda path: io.BytesIO(open(path, "rb").read()),
    "text": lambda path: open(path, encoding="latin-1"),
    "gzip": compressed(gzip.open),
    "bz2": compressed(bz2.open),
    "shouting": lambda path: Shouting(open(path, "rb")),
    "subclass": lambda path: io.BufferedReader(Subclass(path)),
    "raw subclass": Subclass,
    "pipe": pipe,
    "socket": connected,
    "detached": detached,
    "patched": patched,
    "another method": another_method,
    "spooled": spooled,
    "write only": lambda path: open(path, "ab", buffering=0),
}


class Noted:
    """Notes what is done with a file; not for those whose read has to stay what it is."""

    def __init__(self, file):
        self.file = file

    def read(self, size):
        LOG.append(size)
        return self.file.read(size)

    def close(self):
        LOG.append("closed")
        self.file.close()


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/log":
        start_response("200 OK", [])
        return [json.dumps(LOG).encode()]
    plan = json.loads(unquote(environ["QUERY_STRING"]))
    file = KINDS[plan["kind"]](plan["path"])
    if plan.get("noted"):
        file = Noted(file)
    if plan.get("read"):
        file.read(plan["read"])
    if "seek" in plan:
        file.seek(plan["seek"])
    if plan.get("start", True):
        fields = [tuple(pair) for pair in plan.get("headers", [])]
        fields += [("x-fill", "f" * plan["fill"])] if "fill" in plan else []
        write = start_response(plan.get("status", "200 OK"), fields)
    if plan.get("write"):
        write(plan["write"].encode())
    wrapped = environ["wsgi.file_wrapper"](file, *plan.get("block", []))
    if plan.get("closed"):

        def close(close=file.close):
            close()
            LOG.append("closed")

        wrapped.close = close
    if plan.get("middleware"):
        return (item for item in wrapped)
    return wrapped
