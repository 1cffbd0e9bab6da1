"""Reading what a shared object asks for. The samples are the extension modules of the running Python itself."""

import re
import sys
import sysconfig
from pathlib import Path

import pytest

import elf

EXTENSIONS = sorted(Path(sysconfig.get_path("stdlib"), "lib-dynload").glob("*.so"))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's format")


@pytest.mark.parametrize("path", EXTENSIONS, ids=lambda path: path.name.split(".")[0])
def test_reads_every_extension_module_of_this_python(path):
    needs = elf.read(path)
    assert needs.machine == sysconfig.get_platform().removeprefix("linux-")
    assert all(".so" in name for name in needs.libraries)
    assert all(re.fullmatch(r"[A-Za-z0-9]+_[\w.]+", version) for version in needs.versions)


def test_finds_the_versions_that_the_linker_wrote():
    found = elf.read(next(path for path in EXTENSIONS if path.name.startswith("_socket")))
    assert "libc.so.6" in found.libraries
    assert any(version.startswith("GLIBC_2.") for version in found.versions)


def test_refuses_what_is_no_elf_file(tmp_path):
    path = tmp_path / "text.so"
    path.write_text("#!/bin/sh\n")
    with pytest.raises(ValueError, match="not a 64-bit little-endian ELF file"):
        elf.read(path)
