"""The WSGI applications answer the bytes that replies are compared with."""

import importlib
import sys
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
