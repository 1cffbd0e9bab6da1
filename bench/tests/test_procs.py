"""The process tree of a server and what it used."""

import os
import subprocess
import sys
import time

import pytest

import procs
from procs import Memory, Process, ProcessEnded, Usage

STAT = (
    "812 (odd) name (x) S 700 812 800 0 -1 4194560 2000 0 5 0 130 20 7 3 20 0 4 0 9876 104857600 5120 "
    "18446744073709551615 1 1 0 0 0 0 0 4096 2 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0"
)


def process(pid: int, parent: int, session: int, waited: float = 0.0) -> Process:
    return Process(pid, f"p{pid}", parent, session, waited, started=pid * 10)


def role(p: Process) -> str:
    return "server" if p.pid == 10 else "worker"


def test_stat_is_read_past_parentheses_in_the_name() -> None:
    p = procs.parse_stat(STAT)
    assert (p.pid, p.name, p.parent, p.session, p.started) == (812, "odd) name (x", 700, 800, 9876)
    assert p.waited_us == 10 * procs.TICK_US


def test_kilobytes_are_found_by_label() -> None:
    rollup = "00400000-7ffd r--p 0 00:00 0 [rollup]\nRss:    2048 kB\nPss:   1000 kB\nPrivate_Dirty:  12 kB\n"
    assert procs.parse_kilobytes(rollup, "Rss") == 2048 * 1024
    assert procs.parse_kilobytes(rollup, "Private_Dirty") == 12 * 1024
    assert procs.parse_kilobytes(rollup, "Swap") == 0


def test_tree_holds_the_session_and_descendants_that_left_it() -> None:
    mine = [process(10, 1, 10), process(11, 10, 10), process(12, 10, 12), process(13, 12, 12), process(14, 1, 10)]
    strangers = [process(1, 0, 1), process(20, 1, 20), process(21, 20, 20)]
    assert {p.pid for p in procs.tree(10, mine + strangers)} == {10, 11, 12, 13, 14}


def test_tree_survives_a_torn_listing_with_a_loop() -> None:
    assert procs.tree(10, [process(5, 6, 5), process(6, 5, 5)]) == []


def test_cpu_is_split_by_role_and_counts_newcomers_and_reaped_children() -> None:
    server, worker, newcomer = process(10, 1, 10), process(11, 10, 10), process(12, 10, 10)
    before = {server.key: Usage(server, 100.0), worker.key: Usage(worker, 1000.0)}
    reaped = process(10, 1, 10, waited=40.0)
    after = {server.key: Usage(reaped, 150.0), worker.key: Usage(worker, 1200.0), newcomer.key: Usage(newcomer, 7.0)}
    assert procs.cpu_between(before, after, role) == {"server": 90.0, "worker": 207.0}


def test_a_process_that_ended_voids_the_measurement_even_if_its_pid_is_used_again() -> None:
    old = process(11, 10, 10)
    new = Process(11, "p11", 10, 10, 0.0, started=999)
    with pytest.raises(ProcessEnded, match=r"p11 \(pid 11\)"):
        procs.cpu_between({old.key: Usage(old, 5.0)}, {new.key: Usage(new, 1.0)}, role)


def test_memory_adds_and_subtracts_field_by_field() -> None:
    assert Memory(5, 4, 3, 2) + Memory(1, 1, 1, 1) - Memory(2, 2, 2, 2) == Memory(4, 3, 2, 1)


def test_the_cpu_clock_agrees_with_the_kernels_own_account() -> None:
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    ours = os.times()
    assert procs.cpu_us(os.getpid()) == pytest.approx((ours.user + ours.system) * 1e6, abs=2 * procs.TICK_US)


def test_a_process_is_known_by_its_start_too() -> None:
    (mine,) = [p for p in procs.running() if p.pid == os.getpid()]
    assert procs.alive(mine.key)
    assert not procs.alive((mine.pid, mine.started + 1))
    assert not procs.alive((2**22 + 1, 1))


def test_a_grandchild_in_a_session_of_its_own_is_found() -> None:
    code = (
        "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " start_new_session=True); print(c.pid, flush=True); c.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            assert {p.pid for p in procs.tree(parent.pid, procs.running())} == {parent.pid, child}
            assert procs.memory(parent.pid, lambda p: str(p.pid)).keys() == {str(parent.pid), str(child)}
        finally:
            os.kill(child, 9)
