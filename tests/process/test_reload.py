"""Reload: new workers ready first, then the swap, then the old ones drained. What fails to start changes nothing."""

import signal
from pathlib import Path

import pytest

from harness import Server, StartServer
from meeting import Gate
from rawhttp import Connection, fetch

APP = """
import asyncio, os, sys
sys.path.append({here!r})
import app as routes

async def app(scope, receive, send):
    await routes.app(scope, receive, send)

async def version(query, receive, send):
    return {version!r}

routes.do_version = version
"""
HERE = Path(__file__).parent


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An application of its own that tests may change."""
    (tmp_path / "site").mkdir()
    return publish(tmp_path / "site" / "main.py", "one")


def publish(path: Path, version: str, more: str = "") -> Path:
    path.write_text(APP.format(here=str(HERE), version=version) + more)
    return path


def hang_up(server: Server) -> None:
    server.process.send_signal(signal.SIGHUP)


# spec: process 6
@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_replaces_the_workers_and_no_request_fails(
    run: StartServer, site: Path, tmp_path: Path, workers: int, gate: Gate
) -> None:
    server = run("--workers", str(workers), target="main:app", app_dir=site.parent)
    with Connection(server) as kept, Connection(server) as busy, Connection(server) as quiet:
        assert kept.get("/version").text == "one"
        assert busy.request("GET", f"/wait?gate={gate}").head().status == 200
        quiet.request("GET", f"/quiet?gate={gate}")
        publish(site, "two")
        hang_up(server)
        seen = []
        while "reloaded after=" not in server.stderr.text():
            seen.append(kept.get("/version").text)
        assert set(seen) <= {"one", "two"}
        assert kept.get("/version").text == "two"
        gate.open()
        assert busy.chunk() == b"first,"
        old = busy.chunk().decode()
        assert (busy.chunk(), quiet.response().status) == (b"", 200)
        assert old != kept.get("/pid").text
    assert server.stop() == 0
    assert (tmp_path / "notes").read_text() == "lifespan shutdown\n" * 2 * workers


# spec: process 6
def test_a_new_version_that_does_not_start_leaves_the_old_one_running_and_says_so(run: StartServer, site: Path) -> None:
    server = run(target="main:app", app_dir=site.parent)
    pid = fetch(server, "/pid").text
    publish(site, "broken", "raise RuntimeError('broken now')\n")
    for _ in range(6):  # more often than workers may fail to start in a row
        hang_up(server)
        server.wait_for("the reload failed; the old workers stay")
        server.wait_for("RuntimeError: broken now")
        server.stderr.clear()
    assert fetch(server, "/pid").text == pid
    publish(site, "two")
    hang_up(server)
    server.wait_for("reloaded after=")
    assert fetch(server, "/version").text == "two"
    assert server.stop() == 0


def watching(site: Path) -> list[str]:
    return ["--reload", "--reload-dir", str(site.parent), "--reload-delay", "0.05"]


# spec: process 16
def test_reload_watches_files(run: StartServer, site: Path) -> None:
    server = run(*watching(site), target="main:app", app_dir=site.parent)
    server.wait_for("watching for changes")
    publish(site, "two")
    server.wait_for(rf'reloading because="{site} changed"')
    server.wait_for("reloaded after=")
    assert fetch(server, "/version").text == "two"
    server.stderr.clear()
    site.write_text("async def app(:\n")
    server.wait_for("the reload failed; the old workers stay")
    server.wait_for("SyntaxError")
    assert fetch(server, "/version").text == "two"
    server.stderr.clear()
    publish(site, "three")
    server.wait_for("reloaded after=")
    assert fetch(server, "/version").text == "three"


# spec: process 16
def test_reload_takes_no_notice_of_other_files(run: StartServer, site: Path, tmp_path: Path) -> None:
    server = run(*watching(site), target="main:app", app_dir=site.parent)
    server.wait_for("watching for changes")
    (site.parent / "notes.txt").write_text("x")
    (site.parent / ".hidden.py").write_text("x")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").touch()
    (tmp_path / "package").rename(site.parent / "package")  # a folder that has come with what is in it
    server.wait_for("reloading because=.*/package/module.py changed")
    server.wait_for("reloaded after=")
    assert server.stderr.text().count("reloading") == 1
    assert "notes.txt" not in server.stderr.text()
