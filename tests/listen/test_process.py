"""The process itself: its user and groups, its pid file, its mask, its workers' environment."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import awaitd
import pytest

from accounts import NOBODY, as_nobody, root_only
from harness import Server, StartServer, binary, eventually
from rawhttp import fetch


def tell(server: Server, what: str) -> object:
    return json.loads(fetch(server, what).body)


@pytest.fixture(scope="module")
def open_to_all() -> dict[str, str]:
    """The variables with which anybody can run workers: this interpreter may be root's alone, then the system's has to do."""
    package = str(Path(awaitd.__file__).parents[1])
    for python in (sys.executable, "/usr/bin/python3"):
        probe = [python, "-c", "import awaitd._wire"]
        env = {"PYTHONPATH": package}
        try:
            subprocess.run(probe, env=env, user=NOBODY.pw_uid, group=NOBODY.pw_gid, cwd="/", check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return {"PYTHONPATH": package, "AWAITD_PYTHON": python}
    pytest.skip(f"no Python that everybody may run fits {sys.version.split()[0]}, with awaitd in {package}")


def identities(pid: int) -> set[tuple[str, ...]]:
    """Who each thread of a process is: its users, groups, further groups and capabilities."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        found.add(tuple(" ".join(lines[name].split()) for name in ("Uid", "Gid", "Groups", "CapEff")))
    return found


@root_only
@pytest.mark.parametrize(
    ("options", "uid", "gid"),
    [
        (["--user", "nobody"], NOBODY.pw_uid, NOBODY.pw_gid),
        (["-u", "nobody", "-g", "4711"], NOBODY.pw_uid, 4711),
        (["--uid", "4711", "--gid", "4712"], 4711, 4712),
    ],
)
def test_the_server_and_its_workers_become_another_user(
    run: StartServer, open_to_all: dict[str, str], public: Path, options: list[str], uid: int, gid: int
) -> None:
    path, pid = public / "socket", public / "pid"
    server = run("--uds", str(path), "--pid", str(pid), *options, **open_to_all)
    groups = sorted({gid} | (set(os.getgrouplist("nobody", NOBODY.pw_gid)) if uid == NOBODY.pw_uid else set()))
    assert tell(server, "/user") == {"uid": [uid] * 3, "gid": [gid] * 3, "groups": groups}
    who = (" ".join([str(uid)] * 4), " ".join([str(gid)] * 4), " ".join(map(str, groups)), "0" * 16)
    assert identities(server.pid) == {who}
    assert pid.read_text() == f"{server.pid}\n"
    for file in (path, pid):
        assert (file.stat().st_uid, file.stat().st_gid) == (uid, gid)
    worker = tell(server, "/pid")
    server.process.send_signal(signal.SIGHUP)  # new workers are the user's as well
    server.wait_for("reloaded after")
    assert tell(server, "/pid") != worker
    assert tell(server, "/user") == {"uid": [uid] * 3, "gid": [gid] * 3, "groups": groups}
    assert server.stop() == 0
    assert not pid.exists()
    assert not path.exists()


@root_only
def test_what_is_in_roots_folders_is_made_before(run: StartServer, open_to_all: dict[str, str], tmp_path: Path) -> None:
    tmp_path.chmod(0o700)  # root's alone: neither file can be removed by the user
    path, pid = tmp_path / "socket", tmp_path / "pid"
    options = ["--user", "nobody", "--uds-owner", ":4711", "--group", "4712"]
    server = run("--bind", f"unix:{path}", "--pid", str(pid), *options, **open_to_all)
    assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY.pw_uid, 4711)
    assert server.stop() == 0
    assert pid.read_text() == "", "a process id that is nobody's"
    again = run("--bind", f"unix:{path}", "--pid", str(pid))
    assert pid.read_text() == f"{again.pid}\n"


@root_only
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--user", "root"], "can't become user `root`: only root may\nhint: start awaitd as root"),
        (["--group", "0"], "can't become group `0`: only root may\nhint: start awaitd as root"),
        (["--user", "no-such-user"], "--user: must be the name or number of a user, got `no-such-user`\nhint: names"),
    ],
)
def test_who_is_not_root_can_not_become_another(public: Path, options: list[str], says: str) -> None:
    ended = as_nobody(binary(), "app:app", "--port", "0", "--python", "/bin/true", *options, cwd=public)
    assert (ended.returncode, ended.stderr.startswith(f"error: {says}")) == (2, True), ended.stderr


@root_only
def test_a_number_that_is_nobodys_needs_a_group(run: StartServer) -> None:
    server = run("--port", "0", "--user", "4711", ready=False)
    assert server.wait() == 2
    assert "no user of /etc/passwd has this number, so it has no group\nhint: name one with `--group`" in server.output()


@root_only
def test_who_is_that_user_already_goes_on(public: Path) -> None:
    ended = as_nobody(binary(), "app:app", "--uds", "/no/folder", "--python", "/bin/true", "--user", "nobody", cwd=public)
    assert "can't listen on unix:/no/folder" in ended.stderr


def test_the_pid_file_is_there_while_the_server_is_ready(run: StartServer, tmp_path: Path) -> None:
    pipe, pid = tmp_path / "pipe", tmp_path / "pid"
    os.mkfifo(pipe)
    server = run("--port", "0", "-p", str(pid), ready=False, IMPORT_MEETS=str(pipe))
    eventually(Path(f"{pipe}.here").exists, 20)
    assert pid.read_text() == ""
    release = os.open(pipe, os.O_WRONLY)
    server.wait_ready()
    os.close(release)
    assert pid.read_text() == f"{server.pid}\n"
    second = run("--port", "0", "--pid", str(pid), ready=False)
    assert second.wait() == 1
    assert f"error: can't write the pid file `{pid}`: another server has it\nhint: give each server" in second.output()
    assert pid.read_text() == f"{server.pid}\n"
    assert server.stop() == 0
    assert not pid.exists()


def test_a_pid_file_that_is_another_servers_by_then_stays(run: StartServer, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    server = run("--port", "0", "--pidfile", str(pid))
    pid.rename(tmp_path / "moved")
    pid.write_text("1\n")
    assert server.stop() == 0
    assert pid.read_text() == "1\n"


@pytest.mark.parametrize("content", ["", "dead", "garbage", "alive", "folder", "link"])
def test_what_is_in_the_place_of_the_pid_file(run: StartServer, tmp_path: Path, content: str) -> None:
    pid = tmp_path / "pid"
    dead = subprocess.Popen(["true"])
    dead.wait()
    if content == "folder":
        pid.mkdir()
    elif content == "link":
        pid.symlink_to(tmp_path / "elsewhere")
    else:
        pid.write_text({"dead": f"{dead.pid}       \n", "alive": f"{os.getpid()}\n", "garbage": "import os\n"}.get(content, ""))
    server = run("--port", "0", "--pid", str(pid), ready=False)
    says = {
        "garbage": "it holds something that is no process id\nhint: remove it",
        "alive": f"process {os.getpid()}, which it names, is running\nhint: stop it",
        "folder": "is a directory",
        "link": "too many levels of symbolic links",
    }
    if content in says:
        assert server.wait() == 1
        assert f"error: can't write the pid file `{pid}`: {says[content]}" in server.output()
        return
    server.wait_ready()
    assert pid.read_text() == f"{server.pid}\n"


def test_a_server_that_does_not_start_leaves_no_pid_file(run: StartServer, tmp_path: Path) -> None:
    server = run("--port", "0", "--pid", str(tmp_path / "pid"), target="nothing:app", ready=False)
    assert server.wait() == 3
    assert not (tmp_path / "pid").exists()


def test_umask(run: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = run("--uds", str(path), "--uds-permissions", "0", "-m", "027")
    assert tell(server, "/umask") == 0o027
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


def test_variables_of_the_workers(run: StartServer, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("A=file\nB=file\nC=file\n")
    server = run("--port", "0", "--env-file", str(tmp_path / "env"), "--env", "A=flag,=x", "-e", "D=", C="mine", D="mine")
    environ = tell(server, "/environ")
    assert isinstance(environ, dict)
    assert [environ[name] for name in "ABCD"] == ["flag,=x", "file", "mine", ""]
