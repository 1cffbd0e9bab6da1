"""An upgrade under a service manager: who is the main process, and sockets that the manager passed."""

import os
import signal
import socket
from contextlib import ExitStack

from harness import alive, eventually, family
from manager import Manager
from rawhttp import fetch


def ended(pid: int) -> None:
    eventually(lambda: not alive(pid), 20)


# spec: process 11
def test_the_manager_is_told_of_the_new_process_before_that_speaks(manager: Manager) -> None:
    with ExitStack() as stack:
        passed = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        server = manager.start(
            *("--bind", "fd://web", "--bind", "fd://4"), sockets=passed, names="web:more", WATCHDOG_USEC="60000000"
        )
        manager.wait_for("READY")
        server.wait_ready()
        old = server.pid
        for _ in range(2):
            os.kill(old, signal.SIGUSR2)
            said = manager.wait_for("MAINPID")
            new = int(said["MAINPID"])
            stack.callback(lambda pid=new: alive(pid) and os.kill(pid, signal.SIGKILL))
            assert manager.wait_for("READY")["STATUS"].startswith("Serving app:app on http://")
            assert "WATCHDOG" in manager.wait_for("WATCHDOG")
            ended(old)
            assert manager.silent()  # the old one says nothing of its end
            for listener in passed:
                server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                assert int(fetch(server, "/pid").text) in family(new)
            old = new
        os.kill(old, signal.SIGTERM)
        assert manager.wait_for("STOPPING")
        ended(old)
