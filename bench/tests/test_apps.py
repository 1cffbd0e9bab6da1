"""The applications answer the bytes that replies are compared with."""

import asyncio
import importlib
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, BinaryIO

import pytest

from rows import DATA, FILE, Request

sys.path.insert(0, str(DATA.parent))


def answer(module: str, environ: dict[str, Any]) -> tuple[int, bytes]:
    """The Content-Length and the body."""
    lengths = []

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        assert status == "200 OK"
        lengths.append(int(dict(headers)["Content-Length"]))

    body = b"".join(importlib.import_module(module).wsgi(environ, start_response))
    return lengths[0], body


@pytest.mark.parametrize("module", ["hello", "wsgi_wait"])
def test_hello(module: str) -> None:
    assert answer(module, {}) == (13, (DATA / Request().expect).read_bytes())


def test_the_file_comes_by_the_servers_wrapper_and_else_in_blocks() -> None:
    files: list[BinaryIO] = []

    def wrapper(file: BinaryIO, size: int) -> Iterable[bytes]:
        files.append(file)
        return iter(lambda: file.read(size), b"")

    expected = (DATA / FILE.expect).read_bytes()
    assert len(expected) == 102_400
    assert answer("wsgi_file", {"wsgi.file_wrapper": wrapper}) == (102_400, expected)
    assert len(files) == 1
    files[0].close()
    assert answer("wsgi_file", {}) == (102_400, expected)


@pytest.mark.parametrize(("path", "file"), [("/", "hello.txt"), ("/wait", "wait.txt"), ("/burn", "burn.txt")])
def test_quick_and_slow_pages(path: str, file: str) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    app = importlib.import_module("busy").app
    asyncio.run(app({"type": "http", "path": path}, None, send))
    expected = (DATA / file).read_bytes()
    assert (dict(sent[0]["headers"])[b"content-length"], sent[1]["body"]) == (b"%d" % len(expected), expected)


def test_burning_takes_cpu_and_not_only_time() -> None:
    over = threading.Event()
    other = threading.Thread(target=lambda: [None for _ in iter(over.is_set, True)])  # has the GIL half of the time
    other.start()
    before = time.thread_time()
    importlib.import_module("busy").burn()
    used = time.thread_time() - before
    over.set()
    other.join()
    assert used >= 0.05
