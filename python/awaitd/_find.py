"""Finding the server, the Go program `awaitd`, that was installed together with this package."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path


def find_binary() -> str:
    """The absolute path of the server.

    Raises FileNotFoundError, with every place that was looked at, if it is in none of them.
    """
    looked = []
    for folder in dict.fromkeys(_folders()):
        path = os.path.join(folder, "awaitd")
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
        looked.append(path)
    raise FileNotFoundError("can't find the server `awaitd`; looked for " + ", ".join(f"`{path}`" for path in looked))


def _folders() -> Iterator[str]:
    """Where installers put scripts, the nearest to this package first: another version may be elsewhere."""
    site = Path(__file__).resolve().parents[1]
    yield str(site / "bin")  # pip install --target
    if site.name in ("site-packages", "dist-packages"):
        yield str(site.parents[2] / "bin")  # PREFIX/lib/python3.X/site-packages: --prefix, --user, plain
    yield sysconfig.get_path("scripts")  # this environment; an editable install's too
    yield sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))
