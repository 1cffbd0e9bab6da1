"""The server: one static Go program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import toolchain
from errors import fail


def build(root: Path, out: Path, *, release: bool) -> None:
    """Build cmd/awaitd into ``out``.

    A release is stripped and knows no path of this machine. A development build keeps its symbols and shares the compiled
    packages with ``go test``.
    """
    # No version control stamp: the same sources give the same bytes, from a clone and from an sdist.
    arguments = ["build", "-buildvcs=false", "-o", str(out)]
    if release:
        arguments += ["-trimpath", "-ldflags=-s -w"]
    go = toolchain.go(root)
    if subprocess.run([go, *arguments, "./cmd/awaitd"], cwd=root, env=_environment(root)).returncode != 0:
        fail("can't build the server: `go build ./cmd/awaitd` failed")


def _environment(root: Path) -> dict[str, str]:
    env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    env.pop("CC", None)  # the accelerator's; go reads it even where it compiles no C, and wants an absolute path
    if "HOME" not in env:  # go refuses to guess where its caches belong
        env.setdefault("GOCACHE", str(root / "build" / "go-cache"))
        env.setdefault("GOPATH", str(root / "build" / "go"))
    return env
