"""Which Python the workers run on, and what is said when it does not fit."""

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest

from harness import StartServer, binary

HERE = Path(__file__).parent
FAULTY = HERE / "faulty"
VERSION = "0.1.0"


def python_at(path: Path, *options: str) -> Path:
    """An interpreter of its own path: ours, called by a script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {" ".join(options)} "$@"\n')
    path.chmod(0o755)
    return path


# spec: process 2
def test_the_search_order(launch: StartServer, tmp_path: Path) -> None:
    (app_dir := tmp_path / "app").mkdir()
    (app_dir / "main.py").write_text("async def app(scope, receive, send):\n    assert scope['type'] == 'http'\n")
    server = tmp_path / "wheel" / "bin" / "awaitd"
    server.parent.mkdir(parents=True)
    shutil.copy(binary(), server)
    places = [
        explicit := python_at(tmp_path / "explicit" / "python"),
        python_at(tmp_path / "venv" / "bin" / "python"),
        python_at(app_dir / ".venv" / "bin" / "python"),
        python_at(tmp_path / "wheel" / "bin" / "python"),
        python_at(tmp_path / "path" / "python3"),
    ]
    env = {"VIRTUAL_ENV": str(tmp_path / "venv"), "PATH": f"{tmp_path / 'path'}:{os.environ['PATH']}"}
    options = ["--python", str(explicit)]
    for place in places:
        running = launch("main:app", "--app-dir", str(app_dir), "--port", "0", *options, env=env, program=str(server))
        running.wait_ready()
        assert running.stderr.text().rstrip().endswith(f" at {place}")
        assert running.stop() == 0
        place.unlink()
        options = []


# spec: process 2
def test_an_interpreter_that_is_not_there(launch: StartServer) -> None:
    server = launch("app:app", "--app-dir", str(HERE), "--port", "0", "--python", "/no/python")
    assert server.wait() == 2
    assert server.stderr.text().startswith("error: can't run `/no/python`: no such file or directory\nhint: ")


# spec: process 2
def test_an_interpreter_without_awaitd(launch: StartServer, tmp_path: Path) -> None:
    server = tmp_path / "bin" / "awaitd"
    server.parent.mkdir()
    shutil.copy(binary(), server)  # in no installation
    bare = python_at(tmp_path / "python", "-I", "-S")
    running = launch("app:app", "--app-dir", str(HERE), "--port", "0", "--python", str(bare), program=str(server))
    assert running.wait() == 2
    error = f"error: `{bare}` has no awaitd {VERSION}\nhint: install it there: `{bare} -m pip install awaitd=={VERSION}`\n"
    assert running.stderr.text().endswith(error)


# spec: process 2
@pytest.mark.parametrize("workers", [1, 8])
def test_an_interpreter_without_awaitd_borrows_that_of_the_wheel(launch: StartServer, tmp_path: Path, workers: int) -> None:
    package = importlib.util.find_spec("awaitd")
    assert package
    assert package.origin
    wheel = tmp_path / "wheel"
    (wheel / "bin").mkdir(parents=True)
    shutil.copy(binary(), wheel / "bin" / "awaitd")
    site = wheel / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    shutil.copytree(Path(package.origin).parent, site / "awaitd")
    accelerator = f"_wire.{sysconfig.get_config_var('SOABI')}.so"
    assert (site / "awaitd" / accelerator).exists()
    (site / "stranger.py").touch()
    bare = python_at(tmp_path / "python", "-I", "-S")
    options = ("--app-dir", str(tmp_path), "--port", "0", "--workers", str(workers), "--python", str(bare))
    (tmp_path / "main.py").write_text(
        "async def app(scope, receive, send):\n"
        "    try:\n"
        "        import stranger\n"
        "    except ImportError:\n"
        "        assert scope['type'] == 'http'\n"
    )
    running = launch("main:app", *options, program=str(wheel / "bin" / "awaitd"))
    running.wait_ready()
    assert running.stop() == 0
    # Another ABI's is of no use.
    (site / "awaitd" / accelerator).rename(site / "awaitd" / "_wire.cpython-31-x.so")
    running = launch("main:app", *options, program=str(wheel / "bin" / "awaitd"))
    assert running.wait() == 2
    assert f"error: `{bare}` has no awaitd {VERSION}\n" in running.stderr.text()


# spec: process 2
@pytest.mark.parametrize(
    ("hello", "error"),
    [
        ({"wire": 99}, "has an awaitd of another version: it speaks wire 99, this server 1"),
        ({"awaitd": "0.0.9"}, f"has no awaitd {VERSION}"),
    ],
    ids=["wire", "package"],
)
def test_versions_are_compared_at_the_start(launch: StartServer, hello: dict[str, object], error: str) -> None:
    env = {"PYTHONPATH": str(FAULTY), "FAULTY_HELLO": repr(hello)}
    server = launch("app:app", "--app-dir", str(HERE), "--port", "0", env=env)
    assert server.wait() == 2
    assert server.stderr.text().startswith(f"error: `{sys.prefix}/bin/python` {error}\nhint: ")
