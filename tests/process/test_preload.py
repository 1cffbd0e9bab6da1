"""--preload: a zygote imports the application once and forks the workers; what becomes of them is as ever."""

import json
import os
import re
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness import Server, StartServer, alive, eventually, family
from meeting import Gate, blocked, release
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
USES_ROUTES = f"import sys\nsys.path.append({str(HERE)!r})\n"


@pytest.fixture
def preload(run: StartServer) -> StartServer:
    """Like `run`, with --preload and the application of preloaded.py."""

    def start(*options: str, target: str = "preloaded:app", **more: Any) -> Server:
        return run("--preload", *options, target=target, **more)

    return start


def who(server: Server) -> dict[str, Any]:
    return dict(json.loads(fetch(server, "/who").text))


def every_worker(server: Server, workers: int, place: Path) -> list[dict[str, Any]]:
    """What each says of itself. They are asked at once; one that is slow to begin may lose its request to another."""
    found: dict[int, dict[str, Any]] = {}

    def ask() -> bool:
        with Gate(place) as gate, ExitStack() as stack:
            asked = [stack.enter_context(Connection(server)).request("GET", f"/who?gate={gate}") for _ in range(workers)]
            gate.open()
            for connection in asked:
                said = json.loads(connection.response().text)
                found[said["pid"]] = said
        return len(found) >= workers

    eventually(ask)
    return list(found.values())


def kill_worker(server: Server, how: str = "killed by SIGKILL") -> int:
    """Kills the worker that answers, and waits until the server has said so."""
    pid = int(who(server)["pid"])
    os.kill(pid, signal.SIGKILL)
    server.wait_for(f'a worker ended and is replaced worker=worker-[12] pid={pid} how="{how}"')
    return pid


# spec: process 19
def test_workers_share_one_import(preload: StartServer, tmp_path: Path) -> None:
    server = preload("--workers", "3")
    workers = every_worker(server, 3, tmp_path / "go")
    zygote = workers[0]["imported_by"]
    pids = {worker["pid"] for worker in workers}
    assert {worker["imported_by"] for worker in workers} == {zygote}
    assert set(family(server.pid)) == {server.pid, zygote, *pids}
    assert len(pids) == 3
    assert (tmp_path / "notes").read_text() == "imported\n"
    for worker in workers:
        assert worker["parent"] == server.pid
        assert worker["group"] == worker["pid"]
        assert worker["about_to_fork"] == [zygote]
        assert worker["forked"] == [worker["pid"]]
        assert worker["threads"] == 1
    assert len({worker["random"] for worker in workers}) == 3
    assert len({worker["sockets"] for worker in workers}) == 1  # those of none are in another
    assert server.stop() == 0
    assert not any(map(alive, [zygote, *pids]))
    assert (tmp_path / "notes").read_text() == "imported\n" + "lifespan shutdown\n" * 3


# spec: process 19
def test_a_replacement_does_not_pay_for_the_import(preload: StartServer, pipe: Path) -> None:
    server = preload(ready=False, PRELOAD_MEETS=str(pipe))
    release(pipe)  # nobody does so again: another import would never end
    server.wait_ready()
    before = who(server)
    kill_worker(server)
    after = who(server)
    assert after["pid"] != before["pid"]
    assert after["imported_by"] == before["imported_by"]
    assert server.stop() == 0


# spec: process 19
@pytest.mark.parametrize(
    ("target", "how"),
    [("/signal?name=SIGSEGV", "killed by SIGSEGV"), ("/exit?code=7", "exit status 7"), ("/hard-exit?code=0", "exit status 0")],
)
def test_the_server_gets_the_exit_status_of_forked_workers(preload: StartServer, target: str, how: str) -> None:
    server = preload()
    for _ in range(3):
        pid = who(server)["pid"]
        assert fetch(server, target).status in (500, 502)
        server.wait_for(f'a worker ended and is replaced worker=worker-1 pid={pid} how="{how}"')
    assert who(server)["pid"] != pid
    assert len(family(server.pid)) == 3  # not even a zombie is left


# spec: process 19
def test_the_end_of_the_zygote_disturbs_no_worker(preload: StartServer, gate: Gate) -> None:
    server = preload()
    with Connection(server) as connection:
        assert connection.request("GET", f"/wait?gate={gate}").head().status == 200
        before = who(server)
        os.kill(before["imported_by"], signal.SIGKILL)
        server.wait_for(f'the zygote ended; .* pid={before["imported_by"]} how="killed by SIGKILL"')
        gate.open()
        assert [connection.chunk(), connection.chunk()] == [b"first,", str(before["pid"]).encode()]
    assert who(server)["pid"] == before["pid"]
    kill_worker(server)
    after = who(server)
    assert after["imported_by"] not in (before["imported_by"], after["pid"])
    assert server.stop() == 0


# spec: process 19
# spec: process 15
def test_nothing_survives_the_server(preload: StartServer, pipe: Path) -> None:
    server = preload("--workers", "2")
    processes = family(server.pid)[1:]
    assert len(processes) == 3
    with Connection(server) as connection:
        connection.request("GET", f"/block?pipe={pipe}")
        blocked(pipe)
        server.process.kill()
        server.wait()
        eventually(lambda: not any(map(alive, processes)))


# spec: process 19
# spec: process 15
def test_not_even_an_import_that_never_ends_survives_the_server(preload: StartServer, tmp_path: Path) -> None:
    never = "while True:\n    try:\n        sum(range(1000))\n    except BaseException:\n        pass\n"
    (tmp_path / "endless.py").write_text("open(__file__ + '.here', 'w').close()\n" + never)
    server = preload(target="endless:app", app_dir=tmp_path, ready=False)
    eventually((tmp_path / "endless.py.here").exists)
    (zygote,) = family(server.pid)[1:]
    server.process.kill()
    server.wait()
    eventually(lambda: not alive(zygote))


# spec: process 19
def test_ctrl_c_while_the_zygote_imports(preload: StartServer, pipe: Path) -> None:
    server = preload(ready=False, PRELOAD_MEETS=str(pipe))
    blocked(pipe)
    processes = family(server.pid)[1:]
    server.process.send_signal(signal.SIGINT)
    assert server.wait() == 0
    assert not any(map(alive, processes))
    assert "Traceback" not in server.output()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An application of its own that tests may change."""
    (tmp_path / "site").mkdir()
    return publish(tmp_path / "site" / "main.py", "one")


def publish(path: Path, version: str, more: str = "") -> Path:
    route = f"async def version(*_):\n    return {version!r}\nroutes.do_version = version\n"
    path.write_text(USES_ROUTES + "import app as routes\nfrom preloaded import *\n" + route + more)
    return path


# spec: process 19
def test_a_reload_makes_a_new_zygote(preload: StartServer, site: Path, tmp_path: Path) -> None:
    server = preload("--workers", "2", target="main:app", app_dir=site.parent)
    before = who(server)
    assert fetch(server, "/version").text == "one"
    publish(site, "two")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("reloaded after=")
    after = who(server)
    assert fetch(server, "/version").text == "two"
    assert after["imported_by"] != before["imported_by"]
    eventually(lambda: not alive(before["imported_by"]))
    kill_worker(server)
    workers = every_worker(server, 2, tmp_path / "go")
    assert {worker["imported_by"] for worker in workers} == {after["imported_by"]}
    assert "the zygote ended" not in server.stderr.text()
    assert server.stop() == 0


# spec: process 19
# spec: process 6
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("raise RuntimeError('broken now')\n", "RuntimeError: broken now"),
        ("import threading\nthreading.Thread(target=threading.Event().wait, name='ticker', daemon=True).start()\n", "`ticker`"),
        ("async def app(scope, receive, send):\n    raise SystemExit('not today')\n", "not today"),
    ],
)
def test_a_reload_that_fails_leaves_zygote_and_workers(preload: StartServer, site: Path, more: str, said: str) -> None:
    server = preload(target="main:app", app_dir=site.parent)
    before = who(server)
    publish(site, "two", more)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("the reload failed; the old workers stay")
    server.wait_for(said)
    assert who(server)["pid"] == before["pid"]
    eventually(lambda: len(family(server.pid)) == 3)
    kill_worker(server)
    assert who(server)["imported_by"] == before["imported_by"]
    assert fetch(server, "/version").text == "one"
    assert server.stop() == 0


# spec: process 19
# spec: process 16
def test_files_are_watched_as_ever(preload: StartServer, site: Path) -> None:
    watching = ["--reload", "--reload-dir", str(site.parent), "--reload-delay", "0.05"]
    server = preload(*watching, target="main:app", app_dir=site.parent)
    server.wait_for("watching for changes")
    publish(site, "two")
    server.wait_for("reloaded after=")
    assert fetch(server, "/version").text == "two"


# spec: process 19
@pytest.mark.parametrize(
    ("start", "name"),
    [
        ("threading.Thread(target=threading.Event().wait, name='ticker', daemon=True).start()", "`ticker`"),
        ("threading.Thread(target=threading.Event().wait, name='keeper').start()", "`keeper`"),
        ("import _thread\ndef poll():\n    threading.Event().wait()\n_thread.start_new_thread(poll, ())", "`poll`"),
        ("from concurrent.futures import *\np = ThreadPoolExecutor(1, 'jobs')\np.submit(int).result()", "`jobs_0`"),
        (
            "import awaitd\nwait = threading.Event().wait\n"
            "awaitd.before_fork(threading.Thread(None, wait, 'late', daemon=True).start)",
            "`late`",
        ),
    ],
)
def test_threads_that_live_after_the_import_are_refused(preload: StartServer, tmp_path: Path, start: str, name: str) -> None:
    (tmp_path / "threaded_import.py").write_text(f"{USES_ROUTES}import threading\nfrom app import app\n{start}\n")
    server = preload("--workers", "2", target="threaded_import:app", app_dir=tmp_path, ready=False)
    assert server.wait() == 3
    problem = "it has started threads, which workers would not have"
    assert f"error: can't preload `threaded_import:app`: {problem}: {name}\nhint: start them" in server.stderr.text()


@pytest.mark.parametrize("preloaded", [True, False])
def test_a_thread_does_not_hold_up_the_end_of_a_failed_import(
    preload: StartServer, run: StartServer, tmp_path: Path, preloaded: bool
) -> None:
    thread = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    (tmp_path / "half.py").write_text(thread + "raise ValueError('half')\n")
    server = (preload if preloaded else run)(target="half:app", app_dir=tmp_path, ready=False)
    assert server.wait() == 3
    assert "ValueError: half" in server.stderr.text()


# spec: process 19
def test_threads_that_have_ended_are_none(preload: StartServer, tmp_path: Path) -> None:
    more = "import threading\nt = threading.Thread(target=int)\nt.start()\nt.join()\n"
    (tmp_path / "joined.py").write_text(USES_ROUTES + "from app import app\n" + more)
    server = preload(target="joined:app", app_dir=tmp_path)
    assert "warning" not in server.stderr.text()
    assert server.stop() == 0


# spec: process 19
def test_threads_that_are_not_pythons_are_warned_of(preload: StartServer, tmp_path: Path) -> None:
    more = (
        "import ctypes\nc = ctypes.CDLL(None)\nt = ctypes.c_ulong()\nc.pthread_create(ctypes.byref(t), None, c.sleep, 1000)\n"
    )
    (tmp_path / "native.py").write_text(USES_ROUTES + "from app import app\n" + more)
    server = preload(target="native:app", app_dir=tmp_path)
    assert server.stderr.text().count("warning: threads that are not Python's run after the import") == 1
    assert fetch(server, "/version").status == 200
    assert server.stop() == 0


# spec: process 19
# spec: process 3
def test_an_import_that_fails_is_said_once(preload: StartServer, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('broken')\n")
    server = preload("--workers", "3", target="broken:app", app_dir=tmp_path, ready=False)
    assert server.wait() == 3
    output = server.stderr.text()
    assert output.count("Traceback") == output.count("\nRuntimeError: broken\n") == 1
    assert output.endswith("error: can't import `broken:app`: module `broken` failed: RuntimeError: broken\n")


# spec: process 19
# spec: process 3
def test_an_import_that_crashes_again_and_again_ends_the_server(preload: StartServer, tmp_path: Path) -> None:
    (tmp_path / "crashing.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    server = preload(target="crashing:app", app_dir=tmp_path, ready=False)
    assert server.wait() == 3
    how = "5 workers in a row ended before they were ready, the last one: killed by SIGSEGV"
    assert server.stderr.text().splitlines()[-1] == f"error: can't start `crashing:app`: {how}"


# spec: process 19
@pytest.mark.parametrize("when", ["before_fork", "after_fork"])
def test_a_function_that_fails_at_the_fork_keeps_the_worker_from_starting(
    preload: StartServer, tmp_path: Path, when: str
) -> None:
    more = f"import awaitd\n@awaitd.{when}\ndef connect():\n    raise OSError('no database')\n"
    (tmp_path / "hooked.py").write_text(USES_ROUTES + "from app import app\n" + more)
    server = preload(target="hooked:app", app_dir=tmp_path, ready=False)
    assert server.wait() == 3
    output = server.stderr.text()
    assert output.endswith(f"error: can't start `hooked:app`: {when} function `connect` failed: OSError: no database\n")
    assert output.count("Traceback") == 1


# spec: process 19
def test_functions_for_the_fork_are_not_called_without_one(run: StartServer) -> None:
    worker = who(run(target="preloaded:app"))
    assert worker["about_to_fork"] == worker["forked"] == []


# spec: process 19
# spec: process 9
def test_the_stack_of_a_forked_worker_that_is_stuck_is_its_own(preload: StartServer) -> None:
    server = preload("--timeout-request", "0.3")
    assert fetch(server, "/spin").status == 504
    server.wait_for("in do_spin")
    server.wait_for("a worker ended and is replaced")
    assert fetch(server, "/version").status == 200


# spec: process 19
# spec: process 14
def test_what_forked_workers_say_has_their_name(preload: StartServer) -> None:
    server = preload("--workers", "2")
    assert fetch(server, "/print?text=one%0Atwo").text == "printed"
    for line in ("one", "two"):
        server.wait_for(f"^worker-[12]  {line}$")
    assert server.stop() == 0
    assert len(re.findall("^worker-[12]  (one|two)$", server.stderr.text(), re.M)) == 4


# spec: process 19
def test_wsgi_threads_start_after_the_fork(preload: StartServer, tmp_path: Path) -> None:
    text = "import os\nME = os.getpid()\ndef app(environ, start_response):\n    start_response('200 OK', [])\n"
    (tmp_path / "simple.py").write_text(text + "    return [f'{ME} {os.getpid()}'.encode()]\n")
    server = preload("--threads", "4", target="simple:app", app_dir=tmp_path)
    zygote, worker = map(int, fetch(server, "/").text.split())
    assert set(family(server.pid)) == {server.pid, zygote, worker}
    assert len(os.listdir(f"/proc/{zygote}/task")) == 1
    assert server.stop() == 0


def proportional(pids: list[int]) -> int:
    """Bytes of memory; of pages that several processes share, each has its part."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(1024 * int(found[1]) for rollup in rollups if (found := re.search(r"^Pss:\s+(\d+) kB", rollup, re.M)))


# spec: process 19
@pytest.mark.parametrize("ballast", ["BALLAST", "MORE_BALLAST"])
def test_four_workers_take_little_more_memory_than_one(run: StartServer, preload: StartServer, ballast: str) -> None:
    one = run(target="preloaded:app", BALLAST="1")
    four = preload("--workers", "4", **{ballast: "1"})
    for server in (one, four):
        for _ in range(20):
            assert who(server)["ballast"] == 10_000
    assert len(family(four.pid)) == 6
    assert proportional(family(four.pid)[1:]) < 2 * proportional(family(one.pid)[1:])
