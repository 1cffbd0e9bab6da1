"""A program of `awaitd run`: what it finds, when it is ready, how it lives and ends."""

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from harness import Server, StartServer, alive, binary, eventually, family
from talking import ask, command, connect, status, tell

HERE = Path(__file__).parent
PEER = HERE / "peer.py"
FREE = ("--bind", "127.0.0.1:0")
QUICK = ("--ready-after", "0.01")  # a program that says nothing is ready at once

Supervise = Callable[..., Server]


# spec: jobs 5
def test_a_program_finds_its_sockets_and_itself(supervise: Supervise, tmp_path: Path) -> None:
    options = ("--port", "1", "-m", "\udcff")  # the byte 255
    server = supervise(*FREE, "--bind", f"unix:{tmp_path}/socket", *QUICK, PEER, *options)
    about = json.loads(ask(server, "about"))
    assert about["env"]["LISTEN_PID"] == str(about["pid"])
    assert (about["env"]["LISTEN_FDS"], about["env"]["LISTEN_FDNAMES"]) == ("2", "unknown:unknown")
    assert about["sockets"] == ["AF_INET", "AF_UNIX"]
    assert about["argv"] == [str(PEER), *options]
    assert (about["path"], about["main"], about["left"]) == (str(HERE), str(PEER), [])
    with socket.socket(socket.AF_UNIX) as local:
        local.connect(f"{tmp_path}/socket")
        assert ask(local, "pid") == str(about["pid"])
    assert f"ready on unix:{tmp_path}/socket: {PEER}, 1 worker (program)" in server.stderr.text()
    assert server.stop() == 0
    assert not (tmp_path / "socket").exists()


# spec: jobs 5
def test_sockets_that_were_passed_are_passed_on_with_their_names(launch: StartServer, control: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script = (
            f"import os, sys; os.dup2({listener.fileno()}, 3)\n"
            "os.environ |= dict(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='web')\n"
            "os.execv(sys.argv[1], sys.argv[1:])"
        )
        command_line = (binary(), "run", "--control", str(control), *QUICK, str(PEER))
        server = launch("-c", script, *command_line, program=sys.executable, pass_fds=[listener.fileno()])
        server.url = f"127.0.0.1:{listener.getsockname()[1]}"
        about = json.loads(ask(server, "about"))
        assert (about["env"]["LISTEN_FDNAMES"], about["env"]["LISTEN_PID"]) == ("web", str(about["pid"]))
        assert server.stop() == 0


# spec: jobs 5
def test_a_program_without_an_address_has_no_sockets(supervise: Supervise, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("import os, signal\nprint('LISTEN_FDS' in os.environ, flush=True)\nsignal.pause()\n")
    server = supervise(*QUICK, tmp_path / "job.py")
    server.wait_for("^False$")
    assert re.search(r"ready: \S+job.py, 1 worker \(program\), Python 3", server.stderr.text())
    assert server.stop() == 0


# spec: jobs 5
def test_a_module_and_what_it_spawns(supervise: Supervise, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        "import multiprocessing, sys\n"
        "def work(): print('worked in', __name__, flush=True)\n"
        "if __name__ == '__main__':\n"
        "    print(__spec__.name, sys.argv, flush=True)\n"
        "    child = multiprocessing.get_context('spawn').Process(target=work)\n"
        "    child.start()\n"
        "    child.join()\n"
        "    sys.exit(child.exitcode)\n"
    )
    server = supervise("--chdir", tmp_path, "-m", "job", "--flag", ready=False)
    assert server.wait(60) == 0
    assert f"job ['{tmp_path}/job.py', '--flag']\nworked in __mp_main__\n" in server.stderr.text()


# spec: jobs 5
def test_datagrams(supervise: Supervise, control: Path, tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(
        "import asyncio, os, socket\n"
        "class Echo(asyncio.DatagramProtocol):\n"
        "    def connection_made(self, transport): self.transport = transport\n"
        "    def datagram_received(self, data, address): self.transport.sendto(b'%d ' % os.getpid() + data, address)\n"
        "async def main():\n"
        "    await asyncio.get_running_loop().create_datagram_endpoint(Echo, sock=socket.socket(fileno=3))\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    server = supervise("--bind", "udp://127.0.0.1:0", *QUICK, tmp_path / "echo.py")
    port = int(server.wait_for(r"ready on udp://127\.0\.0\.1:(\d+): ")[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.connect(("127.0.0.1", port))

        def pid() -> bytes:
            client.send(b"hello")
            found, said = client.recv(100).split()
            assert said == b"hello"
            return found

        old = pid()
        command("reload", "--control", control)
        eventually(lambda: pid() != old)
    assert server.stop() == 0


# spec: jobs 5
def test_a_program_that_blocks_in_accept_can_be_reloaded(supervise: Supervise, control: Path, tmp_path: Path) -> None:
    (tmp_path / "blocking.py").write_text(
        "import os, socket\n"
        "listener = socket.socket(fileno=3)\n"
        "while True:\n"
        "    client, _ = listener.accept()\n"
        "    client.sendall(b'%d\\n' % os.getpid())\n"
        "    client.close()\n"
    )
    server = supervise(*FREE, *QUICK, tmp_path / "blocking.py")
    old = connect(server).recv(100)
    command("reload", "--control", control)
    eventually(lambda: connect(server).recv(100) not in (b"", old))
    server.process.send_signal(signal.SIGUSR2)
    assert server.process.wait(20) == 0  # nor does a new server change how the socket is
    assert connect(server).recv(100)
    command("stop", "--control", control)
    assert "ended and is replaced" not in server.stderr.text()


# spec: jobs 5
def test_it_is_restarted_when_it_dies_and_waits_longer_each_time(supervise: Supervise, tmp_path: Path) -> None:
    times = tmp_path / "times"
    (tmp_path / "dying.py").write_text(
        "import os, time\n"
        "from notifying import notify\n"
        f"with open({str(times)!r}, 'a') as file: print(time.monotonic(), file=file)\n"
        "notify('READY=1')\n"
        "os._exit(1)\n"
    )
    server = supervise(tmp_path / "dying.py", ready=False, env={"PYTHONPATH": str(HERE)})
    eventually(lambda: times.exists() and len(times.read_text().split()) >= 5)
    starts = [float(line) for line in times.read_text().split()]
    for n, (before, after) in enumerate(pairwise(starts[1:])):
        assert after - before > 0.1 * 2**n
    server.stop()


# spec: jobs 5
def test_connections_wait_for_the_next_when_one_dies(supervise: Supervise) -> None:
    server = supervise(*FREE, *QUICK, PEER)
    pid = ask(server, "pid")
    for end in ("exit 7", f"kill {signal.SIGKILL}"):
        tell(server, end)
        assert ask(server, "pid") not in ("", pid)
    assert re.search(r'a worker ended and is replaced worker=worker-1 pid=\d+ how="exit status 7"', server.stderr.text())
    assert 'how="killed by SIGKILL"' in server.stderr.text()
    assert server.stop() == 0


# spec: jobs 5
def test_what_fails_at_once_is_not_tried_again_and_what_crashes_five_times(supervise: Supervise, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("print('begun', flush=True)\nraise RuntimeError('no database')\n")
    server = supervise(*FREE, tmp_path / "bad.py", ready=False)
    assert server.wait() == 3
    text = server.stderr.text()
    assert (text.count("begun"), text.count("RuntimeError: no database")) == (1, 1)
    assert text.endswith(f"error: can't start `{tmp_path}/bad.py`: it ended before it was ready: exit status 1\n")

    (tmp_path / "crash.py").write_text("import os\nprint('begun', flush=True)\nos.kill(os.getpid(), 11)\n")
    server = supervise(*FREE, tmp_path / "crash.py", ready=False)
    assert server.wait(60) == 3
    assert server.stderr.text().count("begun") == 5
    assert "5 workers in a row ended before they were ready, the last one: killed by SIGSEGV" in server.stderr.text()


# spec: jobs 5
@pytest.mark.parametrize("end", ["exit 0", f"kill {signal.SIGTERM}", f"kill {signal.SIGINT}"])
def test_what_ends_well_by_itself_is_not_restarted(supervise: Supervise, control: Path, end: str) -> None:
    server = supervise(*FREE, *QUICK, "--workers", "2", PEER)
    tell(server, end)
    server.wait_for("a program has finished, and is not started again")
    assert len(status(control)["workers"]) == 1
    command("reload", "--control", control)  # what has finished stays away
    eventually(lambda: [w["state"] for w in status(control)["workers"]] == ["ready"])
    tell(server, end)
    assert server.wait() == 0


# spec: jobs 5
def test_status_and_stacks(supervise: Supervise, control: Path) -> None:
    server = supervise(*FREE, PEER, env={"READY": "READY=1\nSTATUS=All is well"})
    pid = int(ask(server, "pid"))
    eventually(lambda: status(control)["workers"][0].get("said"))
    known = status(control)
    worker = known["workers"][0]
    assert (known["state"], known["target"], known["addresses"]) == ("serving", str(PEER), ["tcp://" + server.url])
    assert (worker["name"], worker["pid"], worker["state"], worker["interface"]) == ("worker-1", pid, "ready", "program")
    assert worker["memory"] > 1 << 20
    assert worker["python"].startswith("3.")
    assert f"\nworker-1, pid {pid}, says: All is well\n" in command("status", "--control", control)
    with connect(server) as connection:
        connection.sendall(b"stuck\n")
        eventually(lambda: re.search(r'peer.py", line \d+ in answer', command("stacks", "--control", control)))
    server.kill()
    eventually(lambda: not alive(pid))  # without the interpreter's help


# spec: jobs 5
def test_several_workers_share_the_sockets(supervise: Supervise) -> None:
    server = supervise(*FREE, *QUICK, "--workers", "2", PEER)
    connections = [connect(server) for _ in range(2)]
    eventually(lambda: len({ask(server, "pid") for _ in range(8)}) == 2)
    for name in ("worker-1", "worker-2"):
        server.wait_for(f"^{name}  the program has begun$")
    for connection in connections:
        connection.close()
    assert server.stop() == 0


# spec: jobs 5
def test_readiness_is_the_programs_word_or_its_silence(supervise: Supervise, control: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    (tmp_path / "slow.py").write_text(
        "import signal, sys\n"
        "from notifying import notify\n"
        "notify('STATUS=Thinking')\n"
        f"open({str(gate)!r}).close()\n"
        "notify(sys.argv[1])\n"
        "signal.pause()\n"
    )
    env = {"PYTHONPATH": str(HERE)}
    server = supervise("--ready-after", "0.3", tmp_path / "slow.py", "READY=1", ready=False, env=env)
    eventually(lambda: control.exists() and (found := status(control)["workers"]) and found[0].get("said") == "Thinking")
    time.sleep(0.6)  # it has spoken, so that it stays alive says nothing
    assert status(control)["workers"][0]["state"] == "booting"
    gate.open("w").close()
    server.wait_for("ready: ")
    assert server.stop() == 0

    server = supervise("--ready-after", "notify", "--timeout-startup", "1", tmp_path / "slow.py", "x", ready=False, env=env)
    assert server.wait() == 3
    assert "slow.py`: not ready after 1s" in server.stderr.text()


# spec: jobs 5
def test_ctrl_c_asks_a_program_that_is_not_ready(supervise: Supervise, tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text(
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('tidied up', flush=True)))\n"
        "print('here', flush=True)\n"
        "while True: signal.pause()\n"
    )
    server = supervise("--ready-after", "60", tmp_path / "early.py", ready=False)
    server.wait_for("^here$")
    server.process.send_signal(signal.SIGINT)
    assert server.wait() == 0
    assert "tidied up" in server.stderr.text()


# spec: jobs 5
def test_others_have_no_say_in_how_a_program_is(supervise: Supervise, control: Path) -> None:
    server = supervise(*FREE, *QUICK, PEER)
    address = json.loads(ask(server, "about"))["env"]["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.connect(address.replace("@", "\0", 1))
        stranger.send(b"STOPPING=1\nSTATUS=Bad")
        server.wait_for(f"notifications of another process are not heeded worker=worker-1 pid={os.getpid()}")
    ask(server, "notify STATUS=Good")
    eventually(lambda: status(control)["workers"][0].get("said") == "Good")
    assert status(control)["workers"][0]["state"] == "ready"
    ask(server, "notify STOPPING=1")
    eventually(lambda: status(control)["workers"][0]["state"] == "draining")
    assert server.stop() == 0


# spec: jobs 5
def test_a_helper_may_notify_for_the_program(supervise: Supervise, control: Path, tmp_path: Path) -> None:
    if not Path("/usr/bin/systemd-notify").exists():
        pytest.skip("needs systemd-notify")
    (tmp_path / "helped.py").write_text(
        "import signal, subprocess\nsubprocess.run(['systemd-notify', '--ready'], check=True, timeout=4)\nsignal.pause()\n"
    )
    server = supervise("--ready-after", "notify", tmp_path / "helped.py")  # it waits until its word was read
    assert status(control)["workers"][0]["state"] == "ready"
    assert server.stop() == 0


# spec: jobs 5
def test_what_does_not_end_within_the_grace_is_killed(supervise: Supervise) -> None:
    server = supervise(*FREE, *QUICK, "--timeout-graceful-shutdown", "1", PEER)
    pid = int(ask(server, "pid"))
    ask(server, "deaf")
    begun = time.monotonic()
    assert server.stop() == 0
    assert 1 <= time.monotonic() - begun < 5
    assert not alive(pid)
    assert 'how="killed: it did not end within the grace"' in server.stderr.text()


# spec: jobs 5
@pytest.mark.parametrize("end", ["program", "stop", "kill"])
def test_children_end_with_the_program(supervise: Supervise, end: str) -> None:
    server = supervise(*FREE, *QUICK, PEER)
    child = int(ask(server, "child"))
    assert child in family(server.pid)
    match end:
        case "program":
            tell(server, "exit 1")
            ask(server, "pid")
        case "stop":
            assert server.stop() == 0
        case "kill":
            server.kill()
    eventually(lambda: not alive(child))


# spec: jobs 5
def test_a_new_server_takes_program_and_sockets_over(supervise: Supervise, control: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    server = supervise(*FREE, *QUICK, "--pid", pid_file, PEER)
    with connect(server) as kept:
        old = ask(kept, "pid")
        server.process.send_signal(signal.SIGUSR2)
        server.wait_for("replaced; finishing what runs")
        eventually(lambda: ask(server, "pid") not in ("", old))
    assert server.process.wait(20) == 0  # its output is the other's by now
    successor = int(pid_file.read_text())
    assert status(control)["pid"] == successor != server.pid
    command("stop", "--control", control)
    assert not alive(successor)


def test_the_signals_that_reload_grow_and_shrink(supervise: Supervise, control: Path) -> None:
    server = supervise(*FREE, *QUICK, PEER)
    server.process.send_signal(signal.SIGTTIN)
    server.wait_for("a worker was added worker=worker-2")
    server.process.send_signal(signal.SIGTTOU)
    server.wait_for("a worker was retired worker=worker-2")
    before = status(control)["workers"][0]["pid"]
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("reloaded after=")
    assert status(control)["workers"][-1]["pid"] != before
    assert server.stop() == 0


# spec: jobs 5
def test_an_interpreter_without_awaitd_will_do(launch: StartServer, control: Path, tmp_path: Path) -> None:
    package = importlib.util.find_spec("awaitd")
    assert package
    assert package.origin
    site = tmp_path / "wheel" / "lib" / "python3" / "site-packages"
    shutil.copytree(Path(package.origin).parent, site / "awaitd", ignore=shutil.ignore_patterns("__pycache__"))
    (server := tmp_path / "wheel" / "bin" / "awaitd").parent.mkdir()
    shutil.copy(binary(), server)
    (bare := tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    (tmp_path / "job.py").write_text("import sys\nprint(sys.argv, sys.path[0], 'site' in sys.modules)\n")
    options = ("--control", str(control), "--python", str(bare))
    running = launch("run", *options, str(tmp_path / "job.py"), "x", program=str(server))
    assert running.wait(60) == 0
    assert f"['{tmp_path}/job.py', 'x'] {tmp_path} False\n" in running.stderr.text()
