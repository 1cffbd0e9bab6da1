"""CPU microseconds of the worker per request: ``python tests/worker/measure.py [target] [loop] [requests per batch]``."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

from fakeserver import Worker, fence
from frames import encode, open_frame

REQUESTS = 300_000
FIELDS = [["host", "127.0.0.1:8000"], ["user-agent", "curl/8.5.0"], ["accept", "*/*"]]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def skip_all(link) -> None:
    """Take everything from the ring to the server without looking at it."""
    link._head = link._load(320 + 64)
    link._store(320, link._head)


def rewind(link, frames: list[bytes]) -> None:
    """Publish the batch and wait until the worker has answered the last of it."""
    link.write(*frames)
    while not link.consumed:
        link._store(320 + 128, 1, "I")
        fence()
        if not link.consumed and not select.select([link.doorbell], [], [], 5)[0]:
            words = [link._load(offset) for offset in (64, 128, 192, 256, 320, 384, 448, 512)]
            raise SystemExit(f"the worker stands still; words of the link: {words}")
        os.eventfd_write(link.doorbell, 1)
        os.eventfd_read(link.doorbell)
        skip_all(link)
    skip_all(link)


def main() -> None:
    target, loop, batch = (sys.argv[1:] + ["hello:app", "asyncio", "32"][len(sys.argv) - 1 :])[:3]
    worker = Worker(target, loop=loop, ring_size=1 << 18).ready()
    frames = [encode(open_frame(slot, fields=FIELDS)) for slot in range(int(batch))]
    rounds = REQUESTS // len(frames)
    for _ in range(rounds // 20):
        rewind(worker.links[0], frames)
    before = cpu_seconds(worker.process.pid)
    for _ in range(rounds):
        rewind(worker.links[0], frames)
    used = cpu_seconds(worker.process.pid) - before
    print(f"{target} on {loop}, batches of {len(frames)}: {used / (rounds * len(frames)) * 1e6:.2f} µs per request")
    worker.stop()
    worker.close()


if __name__ == "__main__":
    main()
