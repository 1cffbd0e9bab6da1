"""A platform tag promises that the wheel runs there: it must never promise too much."""

import sys
import sysconfig

import pytest

import elf
import tags


@pytest.fixture
def needing(monkeypatch):
    """Sets what the extension is said to need, and returns its platform tag."""
    monkeypatch.setattr(sysconfig, "get_platform", lambda: "linux-x86_64")
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: f"{name} of a glibc Python")

    def platform_of(versions, libraries=("libc.so.6",), machine="x86_64"):
        needs = elf.Needs(machine, frozenset(libraries), frozenset(versions))
        monkeypatch.setattr(elf, "read", lambda path: needs)
        return tags.wheel_tag("_wire.so").split("-")[2]

    return platform_of


def test_the_highest_symbol_version_counts_as_a_number(needing):
    assert needing({"GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.34"}) == "manylinux_2_34_x86_64"


def test_old_symbols_give_the_floor(needing):
    assert needing({"GLIBC_2.2.5"}) == "manylinux_2_17_x86_64"
    assert needing(set(), libraries=()) == "manylinux_2_17_x86_64"


@pytest.mark.parametrize(
    "what",
    [
        {"versions": {"GLIBC_2.17"}, "libraries": {"libc.so.6", "libssl.so.3"}},
        {"versions": {"GLIBC_2.17", "GLIBC_PRIVATE"}},
        {"versions": {"GLIBC_2.36", "GLIBC_ABI_DT_RELR"}},
        {"versions": {"GLIBC_2.17"}, "machine": ""},
    ],
    ids=["foreign library", "private symbol", "packed relocations", "unknown machine"],
)
def test_what_manylinux_does_not_cover_gets_the_plain_tag(needing, what):
    assert needing(**what) == "linux_x86_64"


def test_musl_gets_the_plain_tag(needing, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: "cpython-311-x86_64-linux-musl")
    assert needing(set()) == "linux_x86_64"


def test_mac_has_its_own_platform(monkeypatch):
    monkeypatch.setattr(sysconfig, "get_platform", lambda: "macosx-11.0-arm64")
    assert tags.wheel_tag("_wire.so").endswith("-macosx_11_0_arm64")


def test_a_free_threaded_python_has_its_own_abi(needing, monkeypatch):
    monkeypatch.setattr(sys, "abiflags", "t")
    needing(set())
    python, abi, _ = tags.wheel_tag("_wire.so").split("-")
    assert abi == python + "t"
