"""Reload of a program: the next version is ready before the old one is told to end, and no connection fails."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import EXAMPLES, Server, eventually
from talking import ask, command, connect, status

HERE = Path(__file__).parent
Supervise = Callable[..., Server]

RELOADS = 20
CLIENTS = 4


class Load:
    """Clients that connect, say two things, and hear them again, for as long as it lasts."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.done = 0
        self.seen: set[str] = set()
        self.failures: list[str] = []
        self._end = threading.Event()

    def _talk(self) -> None:
        while not self._end.is_set():
            try:
                with connect(self.server) as connection:
                    first, second = ask(connection, "one"), ask(connection, "two")
                assert first.endswith(" one"), first
                assert second == first.replace("one", "two"), second
                self.seen.add(first)
                self.done += 1
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))

    @contextmanager
    def lasting(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._talk) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in threads:
                thread.join()


# spec: jobs 5
def test_no_connection_fails_over_twenty_reloads_of_the_example(supervise: Supervise, control: Path) -> None:
    server = supervise("--bind", "127.0.0.1:0", "--workers", "2", EXAMPLES / "sock_accept" / "server.py")
    load = Load(server)
    with connect(server) as kept, load.lasting():
        old = ask(kept, "before")
        for reloads in range(RELOADS):
            before = load.done
            command("reload", "--control", control)
            eventually(lambda before=before: load.done > before + 2 * CLIENTS, 20)
            if reloads == 0:
                assert ask(kept, "before") == old  # the old version finishes what it has
        assert load.failures == []
    assert len(load.seen) >= RELOADS
    eventually(lambda: {worker["state"] for worker in status(control)["workers"]} == {"ready"})
    assert server.stop() == 0
    assert "killed" not in server.stderr.text()


# spec: jobs 5
def test_the_old_version_serves_until_the_next_is_ready(supervise: Supervise, control: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    program = tmp_path / "program.py"
    program.write_text((HERE / "peer.py").read_text())
    env = {"PYTHONPATH": str(HERE), "READY": "READY=1"}
    server = supervise("--bind", "127.0.0.1:0", "--ready-after", "notify", program, env=env)
    old = ask(server, "pid")
    os.mkfifo(gate)
    program.write_text(f"open({str(gate)!r}).close()\n" + (HERE / "peer.py").read_text())
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: [worker["state"] for worker in status(control)["workers"]] == ["ready", "booting"])
    assert {ask(server, "pid") for _ in range(10)} == {old}
    gate.open("w").close()
    server.wait_for("reloaded after=")
    eventually(lambda: ask(server, "pid") not in ("", old))
    assert server.stop() == 0


# spec: jobs 5
def answering(server: Server) -> str:
    """The pid of whom a connection meets; nothing if that was the old program, which has ended: the end, or a reset."""
    try:
        return ask(server, "pid")
    except ConnectionResetError:
        return ""


def test_a_version_that_does_not_start_leaves_the_old_one(supervise: Supervise, control: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text((HERE / "peer.py").read_text())
    server = supervise("--bind", "127.0.0.1:0", "--ready-after", "0.5", program, env={"PYTHONPATH": str(HERE)})
    pid = ask(server, "pid")
    crash = "import os\nos.kill(os.getpid(), 9)\n"
    for text, said in (("x", "exit status 1"), (crash, "killed by SIGKILL"), ("", "exit status 0")):
        program.write_text(text)
        assert said in command("reload", "--control", control, code=1)
        server.wait_for("the reload failed; the old workers stay")
        server.stderr.clear()
        assert ask(server, "pid") == pid
    program.write_text((HERE / "peer.py").read_text())
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("reloaded after=")
    eventually(lambda: answering(server) not in ("", pid))
    assert server.stop() == 0


# spec: jobs 5
def test_a_changed_file_reloads(supervise: Supervise, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text((HERE / "peer.py").read_text())
    watching = ("--reload", "--reload-dir", tmp_path, "--reload-delay", "0.05")
    server = supervise("--bind", "127.0.0.1:0", "--ready-after", "0.05", *watching, program, env={"PYTHONPATH": str(HERE)})
    server.wait_for("watching for changes")
    pid = ask(server, "pid")
    program.write_text((HERE / "peer.py").read_text() + "\n")
    server.wait_for("reloaded after=")
    eventually(lambda: answering(server) not in ("", pid))
    assert server.stop() == 0
