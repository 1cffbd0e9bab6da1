"""The table of cases (internal/websocket/testdata), by a strict client over real sockets."""

import shutil
import subprocess
from pathlib import Path

import pytest

from harness import ROOT, StartServer


@pytest.fixture(scope="module")
def wscases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    assert go is not None
    program = tmp_path_factory.mktemp("bin") / "wscases"
    subprocess.run([go, "build", "-o", str(program), "./internal/tools/wscases"], cwd=ROOT, check=True)
    return program


# spec: websocket 1
# spec: websocket 2
def test_every_case_passes(run: StartServer, wscases: Path) -> None:
    server = run()
    done = subprocess.run(
        [wscases, "-addr", server.url.removeprefix("http://").rstrip("/"), "-path", "/echo"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
