"""What a shared object asks of the machine that loads it, read from its ELF sections (System V gABI; LSB on symbol versions).

Layout, 64-bit little-endian: the file header names the section table; `.dynamic` lists the libraries by offset into a string
table; `.gnu.version_r` is a chain of (library, chain of version names) records, each with the distance to its next.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MACHINES = {62: "x86_64", 183: "aarch64"}
SHT_DYNAMIC, SHT_GNU_VERNEED = 6, 0x6FFFFFFE
DT_NEEDED = 1


@dataclass(frozen=True)
class Needs:
    """A shared object's demands."""

    machine: str  # as in `uname -m`; empty for one that is not in MACHINES
    libraries: frozenset[str]  # "libc.so.6"
    versions: frozenset[str]  # "GLIBC_2.17"


@dataclass(frozen=True)
class _Section:
    kind: int
    offset: int
    size: int
    link: int  # index of its string table


def read(path: Path) -> Needs:
    """Parse ``path``; ValueError if it is not a 64-bit little-endian ELF file."""
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{path} is not a 64-bit little-endian ELF file")
    sections = _sections(data)
    libraries: set[str] = set()
    versions: set[str] = set()
    for section in sections:
        if section.kind == SHT_DYNAMIC:
            libraries.update(_needed(data, section, sections[section.link]))
        elif section.kind == SHT_GNU_VERNEED:
            versions.update(_versions(data, section, sections[section.link]))
    (machine,) = struct.unpack_from("<H", data, 18)
    return Needs(MACHINES.get(machine, ""), frozenset(libraries), frozenset(versions))


def _sections(data: bytes) -> list[_Section]:
    (table,) = struct.unpack_from("<Q", data, 0x28)
    entry_size, count = struct.unpack_from("<HH", data, 0x3A)
    sections = []
    for index in range(count):
        _, kind, _, _, offset, size, link = struct.unpack_from("<IIQQQQI", data, table + index * entry_size)
        sections.append(_Section(kind, offset, size, link))
    return sections


def _needed(data: bytes, section: _Section, strings: _Section) -> Iterator[str]:
    for offset in range(section.offset, section.offset + section.size, 16):
        tag, value = struct.unpack_from("<QQ", data, offset)
        if tag == DT_NEEDED:
            yield _string(data, strings, value)


def _versions(data: bytes, section: _Section, strings: _Section) -> Iterator[str]:
    library = section.offset
    while True:
        _, count, _, first, following = struct.unpack_from("<HHIII", data, library)
        version = library + first
        for _ in range(count):
            _, _, _, name, step = struct.unpack_from("<IHHII", data, version)
            yield _string(data, strings, name)
            version += step
        if following == 0:
            return
        library += following


def _string(data: bytes, strings: _Section, offset: int) -> str:
    start = strings.offset + offset
    return data[start : data.index(b"\0", start)].decode()
