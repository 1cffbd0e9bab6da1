"""``awaitd.run`` and ``python -m awaitd``, with a shell script in the server's place."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from awaitd import _run
from awaitd._run import environment, flags, run


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Makes a script the server; what it prints goes to the file that is returned."""

    def make(script):
        path = tmp_path / "awaitd"
        path.write_text(f"#!/bin/sh\nexec >{tmp_path}/said\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(_run, "find_binary", lambda: str(path))
        return tmp_path / "said"

    return make


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({}, []),
        ({"port": 8000, "host": "::1"}, ["--port=8000", "--host=::1"]),
        ({"reload": True, "access_log": False}, ["--reload", "--no-access-log"]),
        ({"bind": ["127.0.0.1:0", "unix:/run/x"]}, ["--bind=127.0.0.1:0", "--bind=unix:/run/x"]),
        ({"bind": ()}, []),
        ({"app_dir": Path("/srv")}, ["--app-dir=/srv"]),
        ({"timeout_keep_alive": 7.5}, ["--timeout-keep-alive=7.5"]),
        ({"uds": None}, []),
        ({"header": ["X:-1"], "root_path": "-odd"}, ["--header=X:-1", "--root-path=-odd"]),
    ],
)
def test_settings_become_flags(settings, arguments):
    assert flags(settings) == arguments


@pytest.mark.parametrize("value", [object(), [None], [True], [[1]], [b"x"]])
def test_a_value_that_no_flag_can_have_is_a_type_error(value):
    with pytest.raises(TypeError, match=r"^bind can't be "):
        flags({"bind": value})


def test_the_server_gets_flags_then_target(server):
    said = server('echo "$@"')
    run("main:app", port=0, reload=True)
    assert said.read_text() == "--port=0 --reload main:app\n"


def test_workers_run_on_this_interpreter(server, monkeypatch):
    monkeypatch.delenv("AWAITD_PYTHON", raising=False)
    said = server('echo "$AWAITD_PYTHON"')
    run("main:app")
    assert said.read_text().strip() == sys.executable


def test_unless_the_environment_names_another(monkeypatch):
    monkeypatch.setenv("AWAITD_PYTHON", "/opt/python")
    assert environment()["AWAITD_PYTHON"] == "/opt/python"


@pytest.mark.parametrize(("script", "code"), [("exit 1", 1), ("exit 3", 3), ("kill -KILL $$", 128 + 9)])
def test_an_unclean_end_raises_its_exit_code(server, script, code):
    server(script)
    with pytest.raises(SystemExit) as error:
        run("main:app")
    assert error.value.code == code


def test_an_application_object_is_refused_with_the_reason(server):
    with pytest.raises(TypeError, match="such as 'main:app', not function: workers import it"):
        run(lambda: None)


@pytest.mark.parametrize("target", ["", "--help"])
def test_a_target_that_is_none_is_refused(target):
    with pytest.raises(ValueError, match="must be 'module:attribute'"):
        run(target)


def test_it_runs_outside_the_main_thread(server):
    said = server("echo served")
    thread = threading.Thread(target=run, args=["main:app"])
    thread.start()
    thread.join()
    assert said.read_text() == "served\n"


def test_signal_handlers_are_put_back(server):
    server("exit 0")
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run("main:app")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


PROGRAM = """
from awaitd import _run
_run.find_binary = lambda: {path!r}
_run.run("main:app")
"""


@pytest.fixture
def program(tmp_path):
    """Starts a program that calls run(), whose server counts its signals and ends at the first SIGTERM."""
    path = tmp_path / "awaitd"
    path.write_text(
        f"#!{sys.executable}\n"
        "import signal\n"
        "wanted = {signal.SIGINT, signal.SIGTERM}\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, wanted)\n"
        "print('ready', flush=True)\n"
        "while (got := signal.sigwait(wanted)) != signal.SIGTERM:\n"
        "    print(got.name, flush=True)\n"
        "print('SIGTERM', flush=True)\n"
    )
    path.chmod(0o755)
    command = [sys.executable, "-c", PROGRAM.format(path=str(path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_signals_are_handed_on(program):
    program.send_signal(signal.SIGINT)
    assert program.stdout.readline() == "SIGINT\n"
    program.send_signal(signal.SIGTERM)
    assert program.stdout.readline() == "SIGTERM\n"
    assert program.wait() == 0


def test_ctrl_c_on_a_terminal_reaches_the_server_once(tmp_path):
    # The terminal sends SIGINT to both; were it handed on too, the server would take it for the second that forces its end.
    script = tmp_path / "awaitd"
    script.write_text(
        f"#!{sys.executable}\n"
        "import signal, time\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        "print('ready', flush=True)\n"
        "signal.sigwait({signal.SIGINT})\n"
        "print('first', 'second' if signal.sigtimedwait({signal.SIGINT}, 0.5) else 'only', flush=True)\n"
    )
    script.chmod(0o755)
    child, terminal = os.forkpty()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM.format(path=str(script))])
    said = read_until(terminal, b"ready")
    os.write(terminal, b"\x03")
    said = read_until(terminal, b"only", b"second")
    os.waitpid(child, 0)
    os.close(terminal)
    assert b"first only" in said


def read_until(descriptor, *words):
    said = b""
    while not any(word in said for word in words):
        said += os.read(descriptor, 1024)
    return said
