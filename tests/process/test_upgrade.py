"""SIGUSR2: a new process of the program takes the sockets over, and no client notices."""

import os
import re
import shutil
import signal
import stat
import subprocess
from pathlib import Path

from harness import StartServer, alive, binary, eventually, family
from meeting import Gate, blocked, release
from rawhttp import Connection, fetch
from test_control import command, tell
from test_reload import publish
from test_signals import Load
from upgrades import Upgrades


# spec: process 11
def test_an_upgrade_fails_no_request_and_refuses_no_connection(
    run: StartServer, upgrades: Upgrades, tmp_path: Path, gate: Gate
) -> None:
    control = tmp_path / "control"
    server = run("--workers", "2", "--reactors", "2", "--control", str(control), "--no-access-log")
    old = family(server.pid)
    with Load(server) as load, Connection(server) as busy:
        assert busy.request("GET", f"/wait?gate={gate}").head().status == 200
        new = upgrades.begin(server)
        server.wait_for("replaced; finishing what runs")
        before = load.answers
        eventually(lambda: load.answers > before + 50)
        assert alive(server.pid)  # it has something to finish
        gate.open()
        assert busy.chunk() == b"first,"
        assert int(busy.chunk()) in old
        assert server.process.wait(20) == 0
        before = load.answers
        eventually(lambda: load.answers > before + 50)
    assert load.failures == []
    assert tell(control)["pid"] == new
    assert not any(map(alive, old))
    again = upgrades.done(server, new)
    assert int(fetch(server, "/pid").text) in family(again)
    assert stat.S_IMODE(control.stat().st_mode) == 0o600
    command("stop", "--control", str(control))
    assert not alive(again)
    assert not control.exists()
    assert not server.accepts()


# spec: process 11
def test_idle_connections_are_told_to_come_anew(run: StartServer, upgrades: Upgrades) -> None:
    server = run()
    with Connection(server) as kept:
        assert "connection" not in kept.get("/pid")
        new = upgrades.begin(server)
        server.wait_for("replaced; finishing what runs")
        last = kept.get("/pid")  # a request that comes late is answered all the same
        assert last["connection"] == "close"
        assert kept.ends()
        assert server.process.wait(4) == 0
    assert int(fetch(server, "/pid").text) in family(new)


# spec: process 11
def test_a_new_process_that_does_not_start_leaves_the_old_one_running(
    run: StartServer, upgrades: Upgrades, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    site = publish(tmp_path / "site" / "main.py", "one")
    pid_file, socket_file, control = tmp_path / "pid", tmp_path / "socket", tmp_path / "control"
    server = run(
        *("--uds", str(socket_file), "--pid", str(pid_file), "--control", str(control)), target="main:app", app_dir=site.parent
    )
    publish(site, "broken", "raise RuntimeError('broken now')\n")
    with Load(server, clients=1) as load:
        for _ in range(2):
            upgrades.begin(server)
            server.wait_for('the upgrade failed; this server goes on .*how="exit status 3"')
            server.wait_for("RuntimeError: broken now")
    assert load.failures == []
    assert pid_file.read_text() == f"{server.pid}\n"
    assert tell(control)["state"] == "serving"
    publish(site, "two")
    new = upgrades.done(server)
    assert fetch(server, "/version").text == "two"
    assert pid_file.read_text() == f"{new}\n"
    upgrades.end(new)
    assert not socket_file.exists()
    assert not pid_file.exists()


# spec: process 11
def test_a_second_upgrade_meanwhile_is_refused(run: StartServer, upgrades: Upgrades, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = publish(tmp_path / "site" / "main.py", "one")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    control = tmp_path / "control"
    server = run("--control", str(control), target="main:app", app_dir=site.parent)
    publish(site, "two", f"routes.meet({str(pipe)!r})\n")
    new = upgrades.begin(server)
    blocked(pipe)
    assert (tell(control)["pid"], tell(control)["state"]) == (server.pid, "upgrading")
    server.process.send_signal(signal.SIGUSR2)
    server.wait_for('the upgrade is refused because="another upgrade is under way"')
    assert fetch(server, "/version").text == "one"
    release(pipe)
    server.wait_for("replaced; finishing what runs")
    assert fetch(server, "/version").text == "two"
    assert server.process.wait(20) == 0
    upgrades.end(new)


# spec: process 11
def test_a_stop_meanwhile_ends_both(run: StartServer, upgrades: Upgrades, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = publish(tmp_path / "site" / "main.py", "one")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    server = run(target="main:app", app_dir=site.parent)
    publish(site, "two", f"routes.meet({str(pipe)!r})\n")
    new = upgrades.begin(server)
    blocked(pipe)
    everybody = family(server.pid)
    assert new in everybody
    assert server.stop() == 0
    eventually(lambda: not any(map(alive, everybody)))


# spec: process 11
def test_the_program_is_the_one_that_is_there_by_now(launch: StartServer, upgrades: Upgrades, tmp_path: Path) -> None:
    program = tmp_path / "awaitd"
    shutil.copy(binary(), program)
    here = Path(__file__).parent
    server = launch("app:app", "--app-dir", str(here), "--port", "0", program=str(program))
    server.wait_ready()
    (tmp_path / "new").write_bytes(program.read_bytes() + b"\0")
    (tmp_path / "new").chmod(0o755)
    (tmp_path / "new").rename(program)
    new = upgrades.done(server)
    assert os.path.samefile(f"/proc/{new}/exe", program)
    assert fetch(server, "/pid").status == 200
    (tmp_path / "broken").write_text("no program")
    (tmp_path / "broken").rename(program)
    os.kill(new, signal.SIGUSR2)
    server.wait_for("the upgrade is refused because=")
    assert fetch(server, "/pid").status == 200


# spec: process 11
def test_workers_inherit_nothing_of_it(run: StartServer, upgrades: Upgrades) -> None:
    server = run("--workers", "2")
    new = upgrades.done(server)
    listener = socket_inode(new)
    for worker in family(new)[1:]:
        assert "AWAITD_SOCKETS" not in Path(f"/proc/{worker}/environ").read_text()
        assert listener not in sockets(worker)


def sockets(pid: int) -> set[str]:
    return {link for fd in Path(f"/proc/{pid}/fd").iterdir() if (link := os.readlink(fd)).startswith("socket:")}


def socket_inode(pid: int) -> str:
    """The only TCP socket that listens among a process's."""
    listening = {
        f"socket:[{line.split()[9]}]" for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"
    }
    (found,) = listening & sockets(pid)
    return found


# spec: process 11
def test_every_kind_of_address_is_handed_over(run: StartServer, upgrades: Upgrades, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = run(
        "--bind", "127.0.0.1:0", "--bind", f"unix:{path}", "--bind", "127.0.0.1:0", "--bind", f"uwsgi://unix:{path}.uwsgi"
    )
    ready = eventually(lambda: found if len(found := re.findall("ready on (.*): app:app", server.stderr.text())) == 4 else None)
    inode = path.stat().st_ino
    new = upgrades.done(server)
    again = eventually(lambda: found if len(found := re.findall("ready on (.*): app:app", server.stderr.text())) == 4 else None)
    assert again == ready
    assert path.stat().st_ino == inode
    for where in ready[:3]:
        server.url = where
        assert int(fetch(server, "/pid").text) in family(new)
    upgrades.end(new)
    assert list(tmp_path.glob("socket*")) == []


# spec: process 11
def test_a_working_folder_that_was_entered_is_entered_once(launch: StartServer, upgrades: Upgrades, tmp_path: Path) -> None:
    here = Path(__file__).parent
    server = launch("app:app", "--chdir", here.name, "--port", "0", cwd=here.parent)
    server.wait_ready()
    new = upgrades.done(server)
    assert int(fetch(server, "/pid").text) in family(new)
    assert os.readlink(f"/proc/{new}/cwd") == str(here)


# spec: process 11
def test_the_end_of_the_old_one_before_its_word_does_not_matter(run: StartServer, upgrades: Upgrades, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = publish(tmp_path / "site" / "main.py", "one")
    pipe, control = tmp_path / "pipe", tmp_path / "control"
    os.mkfifo(pipe)
    server = run("--control", str(control), target="main:app", app_dir=site.parent)
    publish(site, "two", f"routes.meet({str(pipe)!r})\n")
    new = upgrades.begin(server)
    blocked(pipe)
    server.kill()
    release(pipe)
    server.wait_for("the server to be replaced is gone already")
    eventually(lambda: control_pid(control) == new)
    assert fetch(server, "/version").text == "two"


def control_pid(control: Path) -> int:
    try:
        return int(tell(control)["pid"])
    except (AssertionError, subprocess.TimeoutExpired):
        return 0
