"""Commands of another user than the server's."""

from pathlib import Path

from accounts import as_nobody, root_only
from harness import StartServer, binary
from rawhttp import fetch


# spec: process 18
@root_only
def test_another_user_is_not_heard(run: StartServer, public: Path) -> None:
    path = public / "control"
    server = run("--control", str(path))
    ended = as_nobody(binary(), "status", "--control", str(path), cwd=public)
    assert (ended.returncode, ended.stderr) == (
        1,
        f"error: can't reach a server at `{path}`: permission denied\nhint: only its own user and root may command it\n",
    )
    path.chmod(0o666)  # whatever the mode says
    ended = as_nobody(binary(), "stop", "--control", str(path), cwd=public)
    assert ended.returncode == 1
    server.wait_for("a command of another user was refused uid=")
    assert fetch(server, "/pid").status == 200
