"""The wheel's tag: which Pythons and machines may install it (PEP 425, PEP 600)."""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import elf
from errors import fail

# What PEP 600 lets a manylinux wheel take from the machine, of which a C extension without C++ can want only these.
MANYLINUX_LIBRARIES = {"libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0"}
MANYLINUX_FLOOR = (2, 17)  # no CPython we support runs on less


def wheel_tag(extension: Path) -> str:
    """``cp313-cp313t-manylinux_2_17_x86_64`` for the running interpreter and the compiled ``extension``."""
    if sys.implementation.name != "cpython":
        fail(f"can't build for {sys.implementation.name}: awaitd needs CPython")
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    # The flags are t for a free-threaded build, d for a debug build: their extensions don't mix with others.
    return f"{python}-{python}{sys.abiflags}-{_platform(extension)}"


def _platform(extension: Path) -> str:
    """The oldest glibc that has every symbol the extension asks for; the server is static and asks for nothing."""
    plain = re.sub(r"[-.]", "_", sysconfig.get_platform())
    if not plain.startswith("linux_") or "musl" in (sysconfig.get_config_var("SOABI") or ""):
        return plain
    needs = elf.read(extension)
    glibc = _glibc(needs)
    return plain if glibc is None else f"manylinux_{glibc[0]}_{glibc[1]}_{needs.machine}"


def _glibc(needs: elf.Needs) -> tuple[int, int] | None:
    """None where no manylinux tag would be true: a library beside glibc's, a private symbol, a rare machine."""
    libraries = {name for name in needs.libraries if not name.startswith("ld-linux")}
    if not libraries <= MANYLINUX_LIBRARIES or not needs.machine:
        return None
    found = [re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", version) for version in needs.versions]
    if not all(found):
        return None
    return max([MANYLINUX_FLOOR, *((int(match[1]), int(match[2])) for match in found if match)])
