"""What the system is short of: descriptors, room on a disk, processes, memory. The server goes on, says so, and recovers."""

import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from harness import Server, StartServer, binary, eventually, family
from rawhttp import Connection
from test_control import tell

HERE = Path(__file__).parent

# A file system of 64 KiB, in a mount namespace of its own, that the server's output goes to.
SMALL_DISK = 'mount -t tmpfs -o size=64k small "$0" && exec "$@" >"$0/access" 2>"$0/log"'

LOST = " lines lost: no space left on device\n"


class Disk:
    """The small disk, seen from outside."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._folder = Path(f"/proc/{server.pid}/root{folder}")

    def text(self, name: str) -> str:
        try:
            return (self._folder / name).read_text()
        except FileNotFoundError:  # it is not mounted yet
            return ""

    def fill(self) -> None:
        with (self._folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def free(self) -> None:
        (self._folder / "filler").unlink()


@pytest.fixture
def unshare() -> list[str]:
    """A command that runs another with a mount namespace of its own; without root's rights in a user namespace as well."""
    command = [shutil.which("unshare") or "unshare", "--mount", "--map-root-user"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to make a mount namespace (unshare --mount --map-root-user)")
    return command


# spec: process 17
def test_a_full_disk_stops_nobody_and_what_the_logs_have_lost_is_counted(
    launch: StartServer, unshare: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    serve = [binary(), "app:app", "--app-dir", str(HERE), "--port", "0"]
    server = launch(*unshare[1:], "sh", "-c", SMALL_DISK, str(folder), *serve, program=unshare[0])
    disk = Disk(server, folder)
    server.url = eventually(lambda: re.search(r"http://127\.0\.0\.1:\d+", disk.text("log")), 60)[0]
    sent = 0

    def ask(target: str = f"/print?text={'x' * 100}", status: int = 200) -> None:
        nonlocal sent
        assert connection.get(target).status == status
        sent += 1

    def loses(name: str) -> bool:
        ask()
        if disk.text(name).endswith("\n") and len(disk.text(name)) % 4096 == 0:  # all that was written fits its last page
            disk.free()
            ask()
            disk.fill()
        return not disk.text(name).endswith("\n") or LOST in disk.text(name)

    def tells(name: str) -> bool:
        ask()
        return LOST in disk.text(name)

    with Connection(server) as connection:
        disk.fill()
        for name in ("access", "log"):
            eventually(partial(loses, name), 30)
        ask("/hard-exit?code=7", 502)
        disk.free()
        for name in ("access", "log"):
            eventually(partial(tells, name))

    def accounted() -> bool:
        text = disk.text("access")
        lost = sum(map(int, re.findall(r"^access log: (\d+) lines lost", text, re.M)))
        return lost > 0 and lost + len(re.findall(r'HTTP/1.1" \d+ \d+ .*\n', text)) == sent

    eventually(accounted)
    server.process.terminate()
    assert server.wait() == 0


@contextmanager
def without_descriptors(server: Server) -> Iterator[None]:
    """The server can open nothing more."""
    used = {int(name) for name in os.listdir(f"/proc/{server.pid}/fd")}
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (min(set(range(10_000)) - used), limits[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)


# spec: process 17
def test_who_connects_when_no_descriptor_is_free_waits_until_one_is(run: StartServer) -> None:
    server = run()
    with Connection(server) as before:
        assert before.get("/pid").status == 200
        with without_descriptors(server), ExitStack() as stack:
            waiting = [stack.enter_context(Connection(server)).request("GET", "/pid") for _ in range(3)]
            server.wait_for("can't accept connections; trying again soon error=.too many open files")
            for _ in range(10):
                assert before.get("/pid").status == 200
            kept = stack.pop_all()
        with kept:
            assert [connection.response().status for connection in waiting] == [200] * 3
    server.wait_for("connections are accepted again")
    assert server.stop() == 0
    assert server.stderr.text().count("can't accept connections") == 1


# spec: process 17
@pytest.mark.parametrize("options", [[], ["--preload"]])
def test_a_worker_that_dies_when_no_descriptor_is_free_is_replaced_when_one_is(run: StartServer, options: list[str]) -> None:
    server = run("--workers", "2", *options)
    with Connection(server) as connection, ExitStack() as shortage:
        assert connection.get("/pid").status == 200  # the server has accepted it
        shortage.enter_context(without_descriptors(server))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("the reload failed; the old workers stay error=.*too many open files")
        assert connection.get("/hard-exit?code=7").status == 502
        server.wait_for(
            "a worker can't be started worker=worker-. how=.*too many open files.* next_after=1.6s"
        )  # the fifth time
        assert connection.get("/pid").status == 200
        server.stderr.clear()
        shortage.close()
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("reloaded after=", 30)
        assert connection.get("/pid").status == 200
    assert server.stop() == 0


class Cage:
    """A cgroup that bounds how many processes and threads there may be in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hold(self, pid: int) -> None:
        (self._folder / "cgroup.procs").write_text(str(pid))

    def close(self) -> None:
        (self._folder / "pids.max").write_text((self._folder / "pids.current").read_text())

    def open(self) -> None:
        (self._folder / "pids.max").write_text("max")

    def remove(self) -> None:
        eventually(lambda: not (self._folder / "cgroup.procs").read_text())
        self._folder.rmdir()


@pytest.fixture
def cage() -> Iterator[Cage]:
    for root in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"):
        folder = Path(root, f"awaitd-test-{os.getpid()}")
        with suppress(OSError):
            folder.mkdir()
            if (folder / "pids.max").exists():
                break
            folder.rmdir()
    else:
        pytest.skip("needs the right to make a cgroup that counts processes")
    made = Cage(folder)
    yield made
    made.remove()


# spec: process 17
@pytest.mark.parametrize("options", [[], ["--preload"]])
def test_a_worker_that_dies_when_nobody_may_fork_is_replaced_when_one_may(
    run: StartServer, cage: Cage, tmp_path: Path, options: list[str]
) -> None:
    control = tmp_path / "control"
    server = run("--workers", "2", "--control", str(control), *options)
    before = ready(control)
    zygote = set(family(server.pid)[1:]) - before
    cage.hold(zygote.pop() if zygote else server.pid)
    cage.close()
    with Connection(server) as connection:
        assert connection.get("/hard-exit?code=7").status == 502
        server.wait_for("a worker can't be started worker=worker-. how=.*[Rr]esource temporarily unavailable.* next_after=3.2s")
        assert {connection.get("/pid").text for _ in range(10)} == {str(pid) for pid in ready(control)}
        cage.open()
        eventually(lambda: len(ready(control)) == 2, 30)
        assert connection.get("/pid").status == 200
    assert server.stop() == 0


def ready(control: Path) -> set[int]:
    """The workers that are."""
    return {worker["pid"] for worker in tell(control)["workers"] if worker["state"] == "ready"}


# spec: process 17
def test_a_worker_without_memory_fails_the_request_and_goes_on(run: StartServer) -> None:
    server = run()
    with Connection(server) as connection:
        worker = int(connection.get("/pid").text)
        size = int(Path(f"/proc/{worker}/statm").read_text().split()[0]) * resource.getpagesize()
        limits = resource.prlimit(worker, resource.RLIMIT_AS, (size + (32 << 20), resource.RLIM_INFINITY))
        assert connection.get(f"/grow?bytes={64 << 20}").status == 500
        server.wait_for("^MemoryError")
        assert connection.get("/pid").text == str(worker)
        resource.prlimit(worker, resource.RLIMIT_AS, limits)
        assert connection.get(f"/grow?bytes={64 << 20}").text == str(worker)
    assert server.stop() == 0
