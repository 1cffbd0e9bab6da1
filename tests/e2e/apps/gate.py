"""Doors that a test opens: where the documentation's examples sleep, these wait, so nothing depends on time."""

import asyncio
import threading
from collections import defaultdict

WITHIN = 20  # seconds; a test that forgot its door ends in an error here, not in a hang


class AsyncGates:
    """By name; made on first use. For one event loop."""

    def __init__(self) -> None:
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def open(self, name: str) -> None:
        self._events[name].set()

    async def wait(self, name: str) -> None:
        async with asyncio.timeout(WITHIN):
            await self._events[name].wait()


class ThreadGates:
    """The same for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def open(self, name: str) -> None:
        self._event(name).set()

    def wait(self, name: str) -> None:
        if not self._event(name).wait(WITHIN):
            raise TimeoutError(name)

    def _event(self, name: str) -> threading.Event:
        with self._lock:
            return self._events[name]
