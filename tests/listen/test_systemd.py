"""systemd's two protocols, with a test that plays systemd: sockets are passed, and the manager is told what happens."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from harness import ROOT, Server, StartServer, binary, eventually
from manager import HERE, Manager, inode
from rawhttp import fetch


def tcp() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def ready_on(server: Server, count: int = 1) -> list[str]:
    """The addresses that a server says it is ready on."""

    def said() -> list[str]:
        return re.findall(r"ready on (.*): app:app", server.stderr.text())

    eventually(lambda: len(said()) >= count)
    return said()


def at(server: Server, where: str) -> Server:
    """The server, seen from another of its addresses."""
    server.url = where
    return server


def refused(server: Server) -> str:
    assert server.wait() in (1, 2)
    return server.output()


# spec: protocols 11
def test_sockets_that_were_passed_are_what_is_listened_on(manager: Manager, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with tcp() as first, unix(path) as second:
        server = manager.start(sockets=[first, second])
        server.wait_ready()
        assert ready_on(server, 2) == [url(first), f"unix:{path}"]
        for where in (url(first), f"unix:{path}"):
            assert fetch(at(server, where), "/pid").status == 200
        theirs = json.loads(fetch(server, "/listeners").body)
        assert not {inode(first), inode(second)} & set(theirs), "a worker has a listening socket"
        assert server.stop() == 0
    assert path.exists(), "the path is the manager's"


# spec: protocols 11
def test_workers_get_none_of_the_managers_variables(manager: Manager) -> None:
    with tcp() as listener:
        server = manager.start(sockets=[listener], names="web", WATCHDOG_USEC="60000000", LISTEN_ADDRESS="the application's")
        server.wait_ready()
        environ = json.loads(fetch(server, "/environ").body)
    assert [name for name in environ if name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_"))] == ["LISTEN_ADDRESS"]


# spec: protocols 11
@pytest.mark.parametrize(
    ("binds", "which"),
    [(["fd://admin"], [1]), (["fd://web"], [0, 2]), (["fd://4", "fd://3"], [1, 0]), (["127.0.0.1:0", "fd://5"], [None, 2])],
)
def test_some_of_the_sockets_that_were_passed(manager: Manager, binds: list[str], which: list[int | None]) -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(tcp()) for _ in range(3)]
        options = [word for bind in binds for word in ("--bind", bind)]
        server = manager.start(*options, sockets=listeners, names="web:admin:web")
        server.wait_ready()
        for where, index in zip(ready_on(server, len(which)), which, strict=True):
            assert index is None or where == url(listeners[index])
            assert fetch(at(server, where), "/pid").status == 200
        theirs = json.loads(fetch(server, "/listeners").body)
        assert not set(map(inode, listeners)) & set(theirs), "a worker has a listening socket"
        unused = {f"fd://{3 + i}" for i in range(3)} - {f"fd://{3 + i}" for i in which if i is not None}
        for fd in unused:
            server.wait_for(rf"warn .*a socket that was passed is not used.*{fd}")
        assert server.stderr.text().count("is not used") == len(unused)


# spec: protocols 11
def test_sockets_for_another_process_are_left_alone(manager: Manager) -> None:
    with tcp() as listener:
        server = manager.start("--port", "0", sockets=[listener], LISTEN_PID="1")
        server.wait_ready()
        assert ready_on(server) != [url(listener)]
        server.wait_for("sockets that were passed are not for this process.*LISTEN_PID=1")
        environ = json.loads(fetch(server, "/environ").body)
        assert not {"LISTEN_PID", "LISTEN_FDS"} & environ.keys()
        named = manager.start("--bind", "fd://web", sockets=[listener], names="web", LISTEN_PID="1")
        assert "hint: descriptors were passed to process 1" in refused(named)


# spec: protocols 11
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("datagram", "can't listen on fd://3: descriptor 3 is not a stream socket but a datagram socket\nhint: in a .socket"),
        ("silent", "can't listen on fd://3: the socket of descriptor 3 does not listen\nhint: whoever passes it"),
        ("connection", "can't listen on fd://3: descriptor 3 is a connection, not a listening socket\nhint: in a .socket unit"),
        ("nothing", "can't listen on fd://3: no descriptor 3 was passed to this process\nhint: whoever starts it"),
    ],
)
def test_what_can_not_be_listened_on(manager: Manager, kind: str, says: str) -> None:
    with ExitStack() as stack:
        passed = socket.socket(type=socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
        stack.enter_context(passed)
        if kind == "connection":
            passed.connect(stack.enter_context(tcp()).getsockname())
        server = manager.start(sockets=[] if kind == "nothing" else [passed], LISTEN_FDS="1")
        assert says in refused(server)


# spec: protocols 11
@pytest.mark.parametrize(
    ("options", "env", "says"),
    [
        (["--bind", "fd://db"], {}, "can't listen on fd://db: no descriptor of this name was passed\nhint: passed were fd://3"),
        (["--bind", "fd://web,fd://3"], {}, "--bind: must be fd://"),
        (["--bind", "fd://web", "--bind", "fd://3"], {}, "can't listen on fd://3 twice"),
        ([], {"LISTEN_FDS": "many"}, "LISTEN_FDS must be a number of descriptors, 0 to 4096, got `many`"),
        ([], {"LISTEN_FDNAMES": "a:b"}, "LISTEN_FDNAMES must name 1 descriptors, got `a:b`"),
    ],
)
def test_mistakes(manager: Manager, options: list[str], env: dict[str, str], says: str) -> None:
    with tcp() as listener:
        assert f"error: {says}" in refused(manager.start(*options, sockets=[listener], **({"names": "web"} | env)))


# spec: protocols 11
def test_the_manager_is_told_from_start_to_end(manager: Manager, tmp_path: Path) -> None:
    pipe, broken = tmp_path / "pipe", tmp_path / "broken"
    os.mkfifo(pipe)
    with tcp() as listener:
        server = manager.start("--timeout-startup", "300", sockets=[listener], IMPORT_MEETS=str(pipe), BROKEN=str(broken))
        assert manager.next() == {"STATUS": "Starting app:app", "EXTEND_TIMEOUT_USEC": "315000000"}
        eventually(Path(f"{pipe}.here").exists, 20)
        assert manager.silent(), "ready before the application is"
        release = os.open(pipe, os.O_WRONLY)
        assert manager.next() == {"READY": "1", "STATUS": f"Serving app:app on {url(listener)}"}
        # What READY=1 promises: no waiting for a line.
        assert fetch(at(server, url(listener)), "/pid").status == 200

        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        server.process.send_signal(signal.SIGHUP)
        reloading = manager.next()
        assert reloading.pop("MONOTONIC_USEC").isdigit()
        assert reloading == {"RELOADING": "1", "STATUS": "Reloading: SIGHUP", "EXTEND_TIMEOUT_USEC": "345000000"}
        os.close(release)
        release = os.open(pipe, os.O_WRONLY)
        assert manager.next() == {"READY": "1", "STATUS": f"Serving app:app on {url(listener)}"}

        broken.touch()
        server.process.send_signal(signal.SIGHUP)
        assert before < int(manager.next()["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        os.close(release)
        release = os.open(pipe, os.O_WRONLY)
        failed = manager.next()
        assert failed["READY"] == "1"
        assert failed["STATUS"].startswith("The reload failed, the old workers go on: can't import `app:app`")
        os.close(release)

        server.process.terminate()
        stopping = manager.next()
        assert stopping == {"STOPPING": "1", "STATUS": "Stopping", "EXTEND_TIMEOUT_USEC": "45000000"}
        assert server.wait() == 0


# spec: protocols 11
def test_a_start_that_fails_is_told(manager: Manager) -> None:
    server = manager.start("--port", "0", target="nothing:app")
    assert manager.wait_for("STOPPING")["STATUS"] == "Stopping: can't import `nothing:app`: no module named `nothing`"
    assert server.wait() == 3


# spec: protocols 11
def test_signs_of_life(manager: Manager) -> None:
    server = manager.start("--port", "0", "--reactors", "2", "--workers", "2", WATCHDOG_USEC="200000")
    manager.wait_for("READY")
    begun = time.monotonic()
    for _ in range(5):
        assert manager.next() == {"WATCHDOG": "1"}
    assert time.monotonic() - begun > 0.3  # the first at once, then each 100 ms
    server.process.terminate()
    manager.wait_for("STOPPING")
    assert server.wait() == 0


# spec: protocols 11
def test_signs_of_life_are_for_who_is_asked(manager: Manager) -> None:
    server = manager.start("--port", "0", WATCHDOG_USEC="20000", WATCHDOG_PID="1")
    manager.wait_for("READY")
    server.process.terminate()
    assert manager.next(20)["STOPPING"] == "1"
    assert server.wait() == 0


# spec: protocols 11
def test_a_manager_at_an_abstract_address(launch: StartServer) -> None:
    manager = Manager(launch, "@awaitd-test-" + secrets.token_hex(8))
    with manager.socket:
        manager.start("--port", "0")
        assert manager.wait_for("READY")["STATUS"].startswith("Serving app:app on http://127.0.0.1:")


# spec: protocols 11
def test_a_manager_that_is_gone_does_no_harm(manager: Manager, tmp_path: Path) -> None:
    manager.socket.close()
    server = manager.start("--port", "0", WATCHDOG_USEC="20000")
    server.wait_ready()
    server.wait_for("can't tell the service manager")
    assert fetch(server, "/pid").status == 200
    assert server.stop() == 0
    assert server.stderr.text().count("can't tell the service manager") == 1


# spec: protocols 11
def test_systemds_own_activation(launch: StartServer, tmp_path: Path) -> None:
    activate = shutil.which("systemd-socket-activate")
    if not activate:
        pytest.skip("needs Debian's package systemd")
    path = tmp_path / "socket"
    command = ["--listen", str(path), "--fdname", "web", "--setenv", f"VIRTUAL_ENV={sys.prefix}"]
    server = launch(*command, binary(), "app:app", "--app-dir", str(HERE), program=activate)
    server.wait_for("Listening on")
    server.url = f"unix:{path}"
    with closing(server.connect()) as first:  # it is what starts the server
        first.sendall(b"GET /pid HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        first.settimeout(60)
        assert first.makefile("rb").readline().startswith(b"HTTP/1.1 200")
    assert ready_on(server) == [f"unix:{path}"]
    assert server.stop() == 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs Debian's package systemd")
def test_the_units_of_the_guide_are_understood(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guides" / "systemd.md").read_text()
    service, sockets, more = re.findall(r"```ini\n(.*?)```", guide, re.S)
    whole = service.replace("/srv/site/.venv/bin/awaitd", binary()).replace("/srv/site", str(tmp_path))
    (tmp_path / "site.service").write_text(whole)
    (tmp_path / "site.socket").write_text(sockets)
    (tmp_path / "site.service.d").mkdir()
    (tmp_path / "site.service.d" / "more.conf").write_text(
        more.replace("ExecStart=", "ExecStart=\nExecStart=").replace("/srv/site/.venv/bin/awaitd", binary())
    )
    units = [str(tmp_path / "site.service"), str(tmp_path / "site.socket")]
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60, check=False
    )
    ours = [line for line in said.stderr.splitlines() if "site" in line]
    new = [line for line in ours if "ignoring: notify-reload" in line]  # systemd 253
    assert ours == new, said.stderr
