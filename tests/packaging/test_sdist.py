"""The source distribution holds the sources, all of them, and nothing that lies beside them."""

import tarfile

import pytest

import metadata
import sdist


@pytest.fixture
def project(tree):
    for name in ("go.mod", "awaitd.go", "LICENSE", "cmd/awaitd/main.go", "internal/x/page.html", "python/awaitd/_wire/a.c"):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for litter in (".env", ".venv/x.py", "dist/old.whl", "python/awaitd/_wire.so", "python/awaitd/__pycache__/a.pyc"):
        path = tree / litter
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(litter)
    return metadata.load(tree)


def names(project, folder):
    with tarfile.open(folder / sdist.write(project, folder)) as archive:
        return {name.removeprefix("awaitd-1.2.3/") for name in archive.getnames()}


def test_it_has_all_that_a_build_needs(project, tmp_path):
    assert {
        *("PKG-INFO", "pyproject.toml", "README.md", "LICENSE", "go.mod", "awaitd.go", "cmd/awaitd/main.go"),
        *("internal/config/config.go", "internal/x/page.html", "python/awaitd/_wire/a.c"),
    } == names(project, tmp_path)


def test_it_is_the_same_bytes_again(project, tmp_path):
    first = (tmp_path / sdist.write(project, tmp_path)).read_bytes()
    (project.root / "go.mod").touch()
    assert (tmp_path / sdist.write(project, tmp_path)).read_bytes() == first
