"""Uploaded files: kept under random names, and typed so that no browser can be talked into running one."""

import asyncio
import mimetypes
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from fastapi import UploadFile

from schemas import StoredFile

MAX_FILES = 4
MAX_FILE_BYTES = 5 * 1024 * 1024
MAX_FORM_BYTES = MAX_FILES * MAX_FILE_BYTES + 64 * 1024  # the files, and room for the text and the multipart borders
MAX_NAME = 120

# What may be shown inside the page. SVG is missing on purpose: it carries scripts.
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def too_large(upload: UploadFile) -> bool:
    return (upload.size or 0) > MAX_FILE_BYTES


async def store(uploads: Sequence[UploadFile], folder: Path) -> list[StoredFile]:
    """Copies the files into folder, on a thread: a slow disk must not stop the event loop."""
    stored: list[StoredFile] = []
    try:
        for upload in uploads:
            stored.append(await asyncio.to_thread(_store_one, upload.file, clean_name(upload.filename), folder))
    except BaseException:
        discard(stored, folder)
        raise
    return stored


def discard(attachments: Sequence[StoredFile], folder: Path) -> None:
    """Removes files whose message never came to be."""
    for attachment in attachments:
        (folder / attachment.stored_as).unlink(missing_ok=True)


def _store_one(source: BinaryIO, name: str, folder: Path) -> StoredFile:
    path = folder / uuid.uuid4().hex
    head = source.read(16)
    source.seek(0)
    try:
        with path.open("xb") as target:
            shutil.copyfileobj(source, target)
            size = target.tell()
    except OSError:  # a full disk: leave nothing half-written
        path.unlink(missing_ok=True)
        raise
    return StoredFile(name=name, content_type=content_type(head, name), size=size, stored_as=path.name)


def clean_name(name: str | None) -> str:
    """The last part of the path (old browsers send all of it), printable, short enough for its column, suffix kept."""
    last = PurePosixPath((name or "").replace("\\", "/")).name
    printable = "".join(character for character in last if character.isprintable()).strip()
    path = PurePosixPath(printable or "file")
    return path.stem[: MAX_NAME - len(path.suffix)] + path.suffix if len(path.suffix) < 20 else printable[:MAX_NAME]


def content_type(head: bytes, name: str) -> str:
    """A picture by the bytes it begins with, anything else by its name; what the sender claims does not count."""
    guess, compression = mimetypes.guess_type(name)
    if picture := _picture(head):
        return picture
    if guess is None or compression or guess in PICTURES:
        return "application/octet-stream"
    return guess


def _picture(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return None
