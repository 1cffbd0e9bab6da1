"""A WSGI application that answers with a file of 100 KB, opened for each request, by the server's `wsgi.file_wrapper`."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

PATH = str(Path(__file__).parent / "data" / "100k.txt")
SIZE = 102_400
BLOCK = 65_536


def wsgi(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """Answers everything with the file."""
    file = open(PATH, "rb")  # noqa: SIM115 whoever sends it closes it
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(SIZE))])
    wrapper: Callable[[BinaryIO, int], Iterable[bytes]] = environ.get("wsgi.file_wrapper", blocks)
    return wrapper(file, BLOCK)


def blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """What PEP 3333 advises where the server has no wrapper."""
    with file:
        while block := file.read(size):
            yield block
