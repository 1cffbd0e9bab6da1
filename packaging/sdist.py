"""Writing a source distribution: all that builds and tests the project.

The same content gives the same bytes, whenever and wherever.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import metadata
from wheelfile import timestamp

FOLDERS = ("cmd", "docs", "examples", "internal", "packaging", "python", "tests")
FILES = ("*.go", "*.md", "go.mod", "go.sum", "LICENSE", "Makefile", "pyproject.toml", ".gitignore")

# What a working tree holds beside its sources. Names that begin with a dot are left out too.
LEFT_OUT_FOLDERS = {"__pycache__", "node_modules", "uploads"}
LEFT_OUT_SUFFIXES = {".so", ".pyc", ".db", ".sqlite3", ".log", ".test", ".out"}


def write(project: metadata.Project, folder: Path) -> str:
    """Write ``awaitd-0.1.0.tar.gz`` into ``folder`` and return its name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, f"{project.stem}/PKG-INFO", metadata.render(project).encode(), 0o644)
        for path in sorted(files(project.root)):
            mode = 0o755 if os.access(path, os.X_OK) else 0o644
            _add(archive, f"{project.stem}/{path.relative_to(project.root).as_posix()}", path.read_bytes(), mode)
    name = f"{project.stem}.tar.gz"
    (folder / name).write_bytes(gzip.compress(content.getvalue(), mtime=timestamp()))
    return name


def files(root: Path) -> Iterator[Path]:
    """The files of the source distribution, in no order."""
    for pattern in FILES:
        yield from root.glob(pattern)
    for name in FOLDERS:
        yield from _walk(root / name)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in LEFT_OUT_FOLDERS]
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix not in LEFT_OUT_SUFFIXES and path.is_file():
                yield path


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), mode, timestamp()
    archive.addfile(info, io.BytesIO(content))
