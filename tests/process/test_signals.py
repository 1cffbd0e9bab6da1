"""The number of workers follows signals."""

import signal
import threading
from contextlib import ExitStack
from pathlib import Path

from harness import Server, StartServer, eventually
from meeting import Gate
from rawhttp import Connection, fetch
from test_control import tell
from test_reload import publish


def names(path: Path) -> list[str]:
    return [worker["name"] for worker in tell(path)["workers"] if worker["state"] == "ready"]


def more(server: Server) -> None:
    server.process.send_signal(signal.SIGTTIN)


def fewer(server: Server) -> None:
    server.process.send_signal(signal.SIGTTOU)


class Load:
    """Clients that ask all the time, each on a connection that it keeps and on new ones in turn."""

    def __init__(self, server: Server, clients: int = 4) -> None:
        self.server, self.answers, self.failures = server, 0, list[str]()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        try:
            with ExitStack() as stack:
                kept = stack.enter_context(Connection(self.server))
                while not self._over.is_set():
                    response = kept.get("/pid")
                    assert response.status == 200
                    if "connection" in response:
                        kept = stack.enter_context(Connection(self.server))
                    assert fetch(self.server, "/pid").status == 200
                    self.answers += 2
        except (AssertionError, OSError, EOFError) as error:
            self.failures.append(repr(error))


# spec: process 13
def test_the_number_of_workers_goes_up_and_down_and_no_request_fails(run: StartServer, tmp_path: Path) -> None:
    control = tmp_path / "control"
    server = run("--control", str(control), "--no-access-log")
    with Load(server) as load:
        for size in (2, 3):
            more(server)
            server.wait_for(f"a worker was added worker=worker-{size} because=SIGTTIN")
        assert names(control) == ["worker-1", "worker-2", "worker-3"]
        seen = set[str]()
        eventually(lambda: seen.add(fetch(server, "/pid").text) or len(seen) > 1)
        for size in (3, 2):
            fewer(server)
            server.wait_for(f"a worker was retired worker=worker-{size} because=SIGTTOU")
        assert names(control) == ["worker-1"]
        server.stderr.clear()
        more(server)
        server.wait_for("a worker was added worker=worker-2")
        before = load.answers
        eventually(lambda: load.answers > before + 20)
    assert load.failures == []
    assert server.stop() == 0
    assert (tmp_path / "notes").read_text() == "lifespan shutdown\n" * 4


# spec: process 13
def test_a_worker_that_is_retired_finishes_what_it_has(run: StartServer, tmp_path: Path, gate: Gate) -> None:
    control = tmp_path / "control"
    server = run("--workers", "2", "--control", str(control))
    with ExitStack() as stack:
        busy: list[Connection] = []
        while not all(worker["running"] for worker in tell(control)["workers"]):  # one that is slow to wake gets none at first
            busy.append(stack.enter_context(Connection(server)).request("GET", f"/quiet?gate={gate}"))
            eventually(lambda: sum(worker["running"] for worker in tell(control)["workers"]) == len(busy))
        fewer(server)
        eventually(lambda: [worker["state"] for worker in tell(control)["workers"]] == ["ready", "draining"])
        assert fetch(server, "/pid").status == 200
        gate.open()
        answers = [connection.response() for connection in busy]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 2
    server.wait_for("a worker was retired worker=worker-2")


# spec: process 13
def test_one_worker_stays(run: StartServer) -> None:
    server = run()
    fewer(server)
    server.wait_for('no worker was retired because="there is only one worker"')
    assert fetch(server, "/pid").status == 200


def test_a_worker_that_does_not_start_changes_nothing(run: StartServer, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = publish(tmp_path / "site" / "main.py", "one")
    control = tmp_path / "control"
    server = run("--control", str(control), target="main:app", app_dir=site.parent)
    publish(site, "broken", "raise RuntimeError('broken now')\n")
    for _ in range(6):  # more often than workers may fail to start in a row
        server.stderr.clear()
        more(server)
        server.wait_for("no worker was added because=")
        server.wait_for("RuntimeError: broken now")
    assert names(control) == ["worker-1"]
    publish(site, "two")
    more(server)
    server.wait_for("a worker was added worker=worker-2")
    assert server.stop() == 0


def test_a_reload_and_a_change_of_the_number_at_once(run: StartServer, tmp_path: Path) -> None:
    control = tmp_path / "control"
    server = run("--workers", "3", "--control", str(control), "--no-access-log")
    with Load(server, clients=2) as load:
        for number in (signal.SIGHUP, signal.SIGTTOU, signal.SIGTTIN):
            server.process.send_signal(number)
        server.wait_for("a worker was retired")
        fewer(server)  # by now no other of its kind is pending, which would make them one
        for what in ("reloaded after=", "a worker was added"):
            server.wait_for(what)
        eventually(lambda: server.stderr.text().count("a worker was retired") == 2)
    assert load.failures == []
    assert len(names(control)) == 2
    assert server.stop() == 0


# spec: process 13
def test_a_worker_that_joins_is_forked_if_the_others_are(run: StartServer, tmp_path: Path) -> None:
    control = tmp_path / "control"
    server = run("--preload", "--control", str(control))
    more(server)
    server.wait_for("a worker was added worker=worker-2")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("reloaded after=")
    fewer(server)
    server.wait_for("a worker was retired worker=worker-2")
    assert names(control) == ["worker-1"]
    assert fetch(server, "/pid").status == 200
    assert server.stop() == 0
