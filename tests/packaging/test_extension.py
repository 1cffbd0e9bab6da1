"""When the accelerator is compiled, with what, and what is said when it can't be."""

import sysconfig

import pytest

import extension


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A source tree whose compiler writes its arguments into the output, and into a log."""
    sources = tmp_path / extension.SOURCES
    sources.mkdir(parents=True)
    for name in ("b.c", "a.c", "a.h"):
        (sources / name).write_text(f"/* {name} */")
    compiler = tmp_path / "cc"
    compiler.write_text(f'#!/bin/sh\nfor out; do :; done\necho "$@" | tee "$out" >> {tmp_path}/log\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setattr(extension.toolchain, "_compiles", lambda command: True)
    monkeypatch.setattr(extension, "include_folders", lambda: ["/headers"])
    return tmp_path


def compilations(tree):
    return (tree / "log").read_text().splitlines()


def test_all_sources_make_one_module(tree):
    extension.build(tree, tree / "out.so")
    (said,) = compilations(tree)
    assert " -std=c11 -O2 " in f" {said}"
    assert "-fvisibility=hidden" in said
    assert "-I/headers" in said
    assert "python/awaitd/_wire/a.c python/awaitd/_wire/b.c" in said


def test_flags_of_the_environment_come_after_ours(tree, monkeypatch):
    monkeypatch.setenv("CFLAGS", "-O0 -fsanitize=address")
    extension.build(tree, tree / "out.so")
    (said,) = compilations(tree)
    assert said.index("-O2") < said.index("-O0 -fsanitize=address")


def test_nothing_is_compiled_twice(tree):
    extension.build_in_place(tree)
    out = extension.build_in_place(tree)
    assert out == tree / "python/awaitd" / extension.file_name()
    assert len(compilations(tree)) == 1


@pytest.mark.parametrize("name", ["a.c", "a.h", "new.c"])
def test_a_changed_source_is(tree, name):
    extension.build_in_place(tree)
    (tree / extension.SOURCES / name).write_text("/* changed */")
    extension.build_in_place(tree)
    assert len(compilations(tree)) == 2


def test_so_are_changed_flags(tree, monkeypatch):
    extension.build_in_place(tree)
    monkeypatch.setenv("CFLAGS", "-g")
    extension.build_in_place(tree)
    assert len(compilations(tree)) == 2


def test_the_old_module_is_replaced_not_written_to(tree):
    out = extension.build_in_place(tree)
    with open(out, "rb") as held:
        before = held.read()
        (tree / extension.SOURCES / "b.c").write_text("/* changed */")
        extension.build_in_place(tree)
        held.seek(0)
        assert held.read() == before
        assert not out.samefile(f"/proc/self/fd/{held.fileno()}")


def test_a_failed_compilation_leaves_the_old_module_and_no_litter(tree):
    out = extension.build_in_place(tree)
    before = out.read_bytes()
    (tree / "cc").write_text("#!/bin/sh\nexit 1\n")
    (tree / extension.SOURCES / "b.c").write_text("/* changed */")
    with pytest.raises(SystemExit, match=r"^error: can't build the accelerator: the C compiler failed$"):
        extension.build_in_place(tree)
    assert out.read_bytes() == before
    assert [path.name for path in out.parent.iterdir() if path.is_file()] == [out.name]


def test_a_python_without_headers_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(SystemExit) as error:
        extension.include_folders()
    message, hint = str(error.value).splitlines()
    assert message == "error: can't build the accelerator: `Python.h` is missing"
    assert "python3-dev" in hint
