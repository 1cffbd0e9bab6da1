"""Finding the server beside the package, wherever an installer put the two."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from awaitd import _find

LIB = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Puts the package and the server somewhere, with an environment that has neither; returns the server's path."""
    folders = {None: str(tmp_path / "env/bin"), "user": str(tmp_path / "home/bin")}
    monkeypatch.setattr(sysconfig, "get_path", lambda name, scheme=None: folders[scheme])
    monkeypatch.setattr(sysconfig, "get_preferred_scheme", lambda key: key)

    def install(package, server):
        monkeypatch.setattr(_find, "__file__", str(tmp_path / package / "awaitd/_find.py"))
        path = tmp_path / server
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return str(path)

    return install


@pytest.mark.parametrize(
    ("package", "server"),
    [
        (f"env/{LIB}", "env/bin/awaitd"),
        (f"prefix/{LIB}", "prefix/bin/awaitd"),
        ("usr/local/lib/python3.11/dist-packages", "usr/local/bin/awaitd"),
        ("target", "target/bin/awaitd"),
        ("work/tree/python", "env/bin/awaitd"),
        (f"home/{LIB}", "home/bin/awaitd"),
        ("elsewhere", "home/bin/awaitd"),
    ],
    ids=["environment", "prefix", "Debian", "target", "editable", "user", "user scheme"],
)
def test_it_is_found(installed, package, server):
    path = installed(package, server)
    assert _find.find_binary() == path


def test_the_one_beside_the_package_comes_first(installed):
    installed("target", "env/bin/awaitd")
    path = installed("target", "target/bin/awaitd")
    assert _find.find_binary() == path


def test_a_file_that_cannot_be_run_is_not_it(installed):
    Path(installed("target", "target/bin/awaitd")).chmod(0o644)
    path = installed("target", "env/bin/awaitd")
    assert _find.find_binary() == path


def test_where_it_is_missing_all_places_are_named(installed):
    path = installed("target", "target/bin/awaitd")
    Path(path).unlink()
    with pytest.raises(FileNotFoundError, match=r"^can't find the server `awaitd`; looked for ") as error:
        _find.find_binary()
    assert f"`{path}`" in str(error.value)


def test_python_m_awaitd_says_so_in_two_lines(tmp_path):
    copy = tmp_path / "awaitd"
    copy.mkdir()
    for name in ("__init__", "__main__", "_find", "_run"):
        (copy / f"{name}.py").write_bytes(Path(_find.__file__).with_name(f"{name}.py").read_bytes())
    # A base interpreter without the environment's scripts, so that the real server is not found.
    program = "import runpy, sysconfig; sysconfig.get_path = lambda *_: '/no'; runpy.run_module('awaitd', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: can't find the server `awaitd`; looked for ")
    assert hint.startswith("hint: `")
