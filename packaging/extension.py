"""The accelerator: every C file of python/awaitd/_wire, compiled into the one extension module `awaitd._wire`.

Run as a program, for the interpreter that runs it, it builds in place beside the Python files, or into the file it is given.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import toolchain
from errors import fail

SOURCES = "python/awaitd/_wire"
FLAGS = ["-std=c11", "-O2", "-g0", "-DNDEBUG", "-fPIC", "-fvisibility=hidden", "-pthread", "-Wall"]


def file_name() -> str:
    """``_wire.cpython-311-x86_64-linux-gnu.so``: each ABI has its own, so several lie side by side."""
    return f"_wire{sysconfig.get_config_var('EXT_SUFFIX')}"


def include_folders() -> list[str]:
    """Where Python's headers are; ends the build where they are not."""
    folders = list(dict.fromkeys([sysconfig.get_path("include"), sysconfig.get_path("platinclude")]))
    if not any(Path(folder, "Python.h").is_file() for folder in folders):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        fail(
            "can't build the accelerator: `Python.h` is missing",
            f"install the headers of this Python, on Debian and Ubuntu: `apt install python3-dev` (or python{version}-dev)",
        )
    return folders


def build(root: Path, out: Path) -> None:
    """Compile into ``out``. CC, CFLAGS and LDFLAGS of the environment are honoured, CFLAGS after our own."""
    _compile(root, _command(root), out)


def build_in_place(root: Path) -> Path:
    """Compile into the source tree unless sources, flags and interpreter are those of the last time."""
    out = root / "python" / "awaitd" / file_name()
    stamp = root / "build" / f"{file_name()}.sha256"
    command = _command(root)
    digest = _digest(root, command)
    if not (out.exists() and stamp.exists() and stamp.read_text() == digest):
        _compile(root, command, out)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(digest)
    return out


def _command(root: Path) -> list[str]:
    sources = sorted(path.relative_to(root).as_posix() for path in (root / SOURCES).glob("*.c"))
    if not sources:
        fail(f"can't build the accelerator: `{SOURCES}` has no C file")
    includes = [f"-I{folder}" for folder in include_folders()]
    environment = [shlex.split(os.environ.get(name, "")) for name in ("CFLAGS", "LDFLAGS")]
    return [*toolchain.c_compiler(), *FLAGS, *includes, *environment[0], *_link_mode(), *sources, *environment[1]]


def _link_mode() -> list[str]:
    """Python's own symbols stay open until it loads the module; on Linux that is what ``-shared`` does anyway."""
    return ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]


def _compile(root: Path, command: list[str], out: Path) -> None:
    # A running worker has the old file mapped: writing into it would crash the worker, so a new one takes its place.
    fresh = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        # Relative paths, from the root: what __FILE__ says is the same on every machine.
        if subprocess.run([*command, "-o", str(fresh)], cwd=root).returncode != 0:
            fail("can't build the accelerator: the C compiler failed")
        os.replace(fresh, out)
    finally:
        fresh.unlink(missing_ok=True)


def _digest(root: Path, command: list[str]) -> str:
    digest = hashlib.sha256(repr((sys.version, command)).encode())
    for path in sorted((root / SOURCES).glob("*.[ch]")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def main(arguments: Sequence[str]) -> None:
    root = Path(__file__).resolve().parent.parent
    if arguments:
        build(root, Path(arguments[0]).resolve())
    else:
        build_in_place(root)


if __name__ == "__main__":
    main(sys.argv[1:])
