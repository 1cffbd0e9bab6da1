"""Writing a wheel (the binary distribution format, version 1.0).

The same content gives the same bytes, whenever and wherever.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import time
import zipfile
from pathlib import Path

ZIP_EPOCH = 315532800  # 1980-01-01, the first day that a zip file can tell


def timestamp() -> int:
    """The time written into archives: SOURCE_DATE_EPOCH, else one that never changes. Seconds since 1970, UTC."""
    return max(int(os.environ.get("SOURCE_DATE_EPOCH", ZIP_EPOCH)), ZIP_EPOCH)


class Wheel:
    """The members of a wheel, collected in any order and written in one."""

    def __init__(self, stem: str, tag: str) -> None:
        self.name = f"{stem}-{tag}.whl"
        self.dist_info = f"{stem}.dist-info"
        self.scripts = f"{stem}.data/scripts"
        self._members: dict[str, tuple[bytes, int]] = {}
        self.add(f"{self.dist_info}/WHEEL", _wheel_metadata(tag))

    def add(self, name: str, content: bytes, *, executable: bool = False) -> None:
        """Add one file; ``name`` is its path in the wheel, with forward slashes."""
        self._members[name] = (content, 0o755 if executable else 0o644)

    def write(self, folder: Path) -> str:
        """Write the wheel into ``folder`` and return its file name."""
        record = f"{self.dist_info}/RECORD"
        members = {**self._members, record: (self._record(record), 0o644)}
        # The metadata last, as the format recommends: it can be replaced without writing the rest anew.
        order = sorted(members, key=lambda name: (name.startswith(self.dist_info), name))
        with zipfile.ZipFile(folder / self.name, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in order:
                content, mode = members[name]
                archive.writestr(_zip_info(name, mode), content)
        return self.name

    def _record(self, record: str) -> bytes:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        for name, (content, _) in sorted(self._members.items()):
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.writerow([name, f"sha256={digest}", len(content)])
        rows.writerow([record, "", ""])
        return text.getvalue().encode()


def _wheel_metadata(tag: str) -> bytes:
    return f"Wheel-Version: 1.0\nGenerator: awaitd packaging\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()


def _zip_info(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, time.gmtime(timestamp())[:6])
    info.create_system = 3  # Unix, or the mode below means nothing
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
