"""Run a WSGI application (PEP 3333): requests by the accelerator, on one thread or several, life by the server's word."""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ._control import Closed, Control
from ._errors import StartupError
from ._file_wrapper import FileWrapper
from ._report import reporter
from ._wire import ThreadLoop

#: How long all threads together may take to finish after ``stop``, in seconds; those that are left end with the process.
JOIN_GRACE = 1.0

Links = tuple[int, list[tuple[int, int, int]]]


def _fixed_environ(threads: int, workers: int) -> dict[str, Any]:
    """What is the same in the environ of every request."""
    return {
        "SERVER_SOFTWARE": "awaitd",
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": threads > 1,
        "wsgi.multiprocess": workers > 1,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
    }


class Worker:
    """The worker's threads: one is the main thread, which also hears the control socket; several are threads of their own."""

    def __init__(self, control: Control, loops: list[ThreadLoop], threads: int) -> None:
        self._control = control
        self._loops = loops
        self._threads = threads
        self._lock = threading.Lock()
        self._not_drained = len(loops)
        self._stopped = False
        self._woken, self._wake = socket.socketpair()
        self._error: BaseException | None = None
        signal.signal(signal.SIGTERM, lambda *_: self._stop())

    def run(self) -> None:
        """Serve until the server says stop."""
        if self._threads == 1 and len(self._loops) == 1:
            self._loops[0].serve(self._control.fileno(), self._on_control)
        else:
            self._run_threads()
        if self._error:
            raise self._error

    def _run_threads(self) -> None:
        threads = [
            threading.Thread(target=self._serve, args=(loop,), name=f"request-{n}", daemon=True)
            for loop in self._loops
            for n in range(1, self._threads + 1)
        ]
        for thread in threads:
            thread.start()
        while not self._stopped:
            select.select([self._control.fileno(), self._woken.fileno()], [], [])
            self._on_control()
        deadline = time.monotonic() + JOIN_GRACE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self, loop: ThreadLoop) -> None:
        try:
            loop.serve()
        except BaseException as error:  # SystemExit ends the worker, not only its thread
            self._error = self._error or error
            self._stop()

    def _on_control(self) -> None:
        try:
            for message in self._control.poll():
                self._hear(message)
        except Closed:
            self._stop()

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "drain":
            for loop in self._loops:
                loop.when_idle(self._on_drained)
        elif message["type"] == "stop":
            self._stop()

    def _on_drained(self) -> None:
        with self._lock:
            self._not_drained -= 1
            drained = self._not_drained == 0
        if drained:
            self._control.send("drained")

    def _stop(self) -> None:
        self._stopped = True
        self._wake.send(b"\0")
        for loop in self._loops:
            loop.stop()


def serve(control: Control, setup: dict[str, Any], application: Callable[..., Any], links: list[Links]) -> None:
    """Serve a WSGI application until the server says stop. Raises ``StartupError``."""
    loops = []
    for doorbell, of_loop in links:
        try:
            loops.append(
                ThreadLoop(
                    application=application,
                    doorbell=doorbell,
                    links=of_loop,
                    root_path=setup["root_path"],
                    environ=_fixed_environ(setup["threads"], setup["workers"]),
                    report=reporter("WSGI"),
                )
            )
        except OSError as error:
            raise StartupError("setup", f"can't use the server's links: {error}") from error
        for memfd, _, _ in of_loop:
            os.close(memfd)
    gc.collect()
    gc.freeze()
    worker = Worker(control, loops, max(1, setup["threads"]))
    control.send("ready", interface=setup["interface"], loop="", lifespan=False)
    worker.run()
