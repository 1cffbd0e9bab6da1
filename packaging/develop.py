"""Bring this interpreter's development install of awaitd up to date with the working tree.

    .venv/bin/python packaging/develop.py

The first run installs awaitd in editable form, with Go and a C compiler from PyPI where the machine has none. Later runs
rebuild what changed: well under a second if nothing did.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import extension
import goexe
import metadata
import toolchain

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    extension.include_folders()
    missing = toolchain.requirements(ROOT)
    if missing:
        _pip("install", *missing)
    if not _is_installed():
        _pip("install", "--no-build-isolation", "--no-deps", "--editable", str(ROOT))
        return
    extension.build_in_place(ROOT)
    server = ROOT / "build" / "awaitd"
    goexe.build(ROOT, server, release=False)
    _replace(Path(sysconfig.get_path("scripts"), "awaitd"), server)


def _pip(*arguments: str) -> None:
    code = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, "--quiet"]).returncode
    if code != 0:
        sys.exit(code)


def _is_installed() -> bool:
    """Is what this interpreter imports as awaitd this very tree, at its present version?"""
    try:
        distribution = importlib.metadata.distribution("awaitd")
    except importlib.metadata.PackageNotFoundError:
        return False
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    return origin.get("url") == ROOT.as_uri() and distribution.version == metadata.load(ROOT).version


def _replace(installed: Path, built: Path) -> None:
    if installed.exists() and installed.read_bytes() == built.read_bytes():
        return
    fresh = installed.with_name(f".awaitd.{os.getpid()}")  # a running program can't be written to, but replaced
    shutil.copy2(built, fresh)
    os.replace(fresh, installed)


if __name__ == "__main__":
    main()
