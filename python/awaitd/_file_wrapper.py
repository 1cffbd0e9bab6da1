"""``wsgi.file_wrapper``: a file-like object as an iterable of blocks, and the open file behind it, for the server to send.

A file is handed to the server only where that can't be told from reading it: when the object's ``read`` is that of a raw file,
or of the usual buffer around one. A decompressor's ``fileno()`` is the compressed file's; so ``fileno()`` alone says nothing.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable
from typing import Any, Protocol

#: Bytes that are read at once.
BLOCK_SIZE = 1 << 16

_BUFFERED = (io.BufferedReader, io.BufferedRandom)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class FileWrapper:
    """An iterator over the blocks of a file-like object. ``close`` is the object's, if it has one. Names as in ``wsgiref``."""

    def __init__(self, filelike: _Readable, blksize: int = BLOCK_SIZE) -> None:
        self.filelike = filelike
        self.blksize = blksize
        self._read: Callable[[int], bytes] | None = None
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        if self._read is None:
            self._read = _prompt_read(self.filelike) or self.filelike.read
        block = self._read(self.blksize)
        if not block and block is not None:  # None, of a file that would block, is no end: whoever sends it complains
            raise StopIteration
        return block


def regular_part(wrapper: FileWrapper) -> tuple[int, int, int] | None:
    """Return descriptor, offset and length of what reading the wrapped file would give; ``None`` where it has to be read."""
    buffered, raw = _open_file(wrapper.filelike)
    if raw is None or raw.closed or not raw.readable():
        return None
    if isinstance(buffered, io.BufferedRandom):
        buffered.flush()  # what was written is read as well
    status = os.fstat(raw.fileno())
    if not stat.S_ISREG(status.st_mode):
        return None
    offset = (buffered or raw).tell()  # not the descriptor's: the buffer has read ahead
    length = status.st_size - offset
    if length <= 0 or (not status.st_blocks and length <= BLOCK_SIZE):
        return None  # files of /proc and /sys have something to read and tell no size, or a wrong one
    return raw.fileno(), offset, length


def _open_file(file: Any) -> tuple[io.BufferedReader | io.BufferedRandom | None, io.FileIO | None]:
    """Find the raw file, and the buffer around it, whose ``read`` the object's is: its own, or one it delegates to."""
    read = getattr(file, "read", None)
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None and getattr(read, "__globals__", None) is vars(tempfile):
        read = getattr(read, "__wrapped__", None)  # that of a NamedTemporaryFile does nothing else
    owner: Any = getattr(read, "__self__", None)
    if type(owner) not in (io.FileIO, *_BUFFERED) or read != owner.read:
        return None, None
    if type(owner) is io.FileIO:
        return None, owner
    try:
        raw = owner.raw
    except ValueError:  # detached
        return None, None
    return owner, raw if type(raw) is io.FileIO else None


def _prompt_read(file: Any) -> Callable[[int], bytes] | None:
    """``read1`` of a pipe's buffer, which gives what there is and does not wait for a whole block."""
    buffered, raw = _open_file(file)
    if buffered is None or raw is None or raw.closed or not raw.readable():
        return None
    regular = stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
    return buffered.read1 if not regular and os.get_blocking(raw.fileno()) else None
