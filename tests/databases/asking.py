"""Clients that ask without a pause, while the test does something to the server."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


class Asked:
    """What came back, by status or by the name of an exception."""

    def __init__(self) -> None:
        self.outcomes: Counter[int | str] = Counter()
        self._lock = threading.Lock()
        self._more = threading.Condition(self._lock)

    def count(self, outcome: int | str) -> None:
        with self._more:
            self.outcomes[outcome] += 1
            self._more.notify_all()

    def wait_for(self, outcome: int | str, more: int = 1, within: float = 20) -> None:
        """Waits until this has come so many times more."""
        with self._more:
            enough = self.outcomes[outcome] + more
            came = self._more.wait_for(lambda: self.outcomes[outcome] >= enough, within)
            assert came, f"never {outcome}: {self.outcomes}"


@contextmanager
def asking(url: str, clients: int = 6, method: str = "GET", json: object = None) -> Iterator[Asked]:
    asked, over = Asked(), threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=20) as client:
            while not over.is_set():
                try:
                    asked.count(client.request(method, url, json=json).status_code)
                except httpx.HTTPError as error:
                    asked.count(type(error).__name__)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        over.set()
        for thread in threads:
            thread.join()
