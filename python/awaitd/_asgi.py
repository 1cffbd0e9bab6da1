"""Run an ASGI application: one event loop for each worker loop, requests by the accelerator, life by the server's word."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from . import _targets
from ._control import Closed, Control
from ._errors import StartupError
from ._interface import ASGI3, TORNADO
from ._lifespan import Lifespan
from ._loop import LoopFactory
from ._report import client_left, debugger, is_debug, reporter
from ._targets import Target
from ._wire import AsyncLoop

#: Whose exception it is, by the kind of an exchange that is not the application's.
KINDS = {3: ("TCP", "handler"), 4: ("UDP", "protocol")}

#: How long tasks of cut requests may take to end after they were cancelled, in seconds.
CANCEL_GRACE = 1.0

Links = tuple[int, list[tuple[int, int, int]]]


def _reporter(interface: str) -> Callable[[int, BaseException | None, str, int], None]:
    """Like ``reporter``, from within the task whose application raised; ``kind`` is that of the exchange."""
    application, others = reporter(interface), {kind: reporter(*names) for kind, names in KINDS.items()}

    def report(id: int, error: BaseException | None, text: str, kind: int) -> None:
        if client_left(error):
            return
        others.get(kind, application)(id, error, text)
        task = None if error is None or isinstance(error, Exception) else asyncio.current_task()
        if task is not None:  # SystemExit and its like stay in the task, and asyncio would log them once more
            task.add_done_callback(lambda task: task.cancelled() or task.exception())

    return report


class LoopRunner:
    """One event loop with its links, from lifespan startup to lifespan shutdown."""

    def __init__(
        self, application: ASGI3, factory: LoopFactory, setup: dict[str, Any], links: Links, targets: list[Target]
    ) -> None:
        self.loop = factory()
        self.lifespan = False
        self._application = application
        self._setup = setup
        self._links = links
        self._targets = targets
        self._stop = asyncio.Event()
        self._wire: AsyncLoop | None = None

    def run(self, ready: Callable[[LoopRunner], None]) -> None:
        """Serve until ``stop``. ``ready`` is called when requests may come. Raises ``StartupError``."""
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._serve(ready))
        finally:
            self._close()

    def stop(self) -> None:
        """End ``run``; from every thread."""
        self.loop.call_soon_threadsafe(self._stop.set)

    def drain(self, drained: Callable[[], None]) -> None:
        """Call ``drained``, on the loop's thread, when nothing runs any more; from every thread."""
        assert self._wire is not None
        self.loop.call_soon_threadsafe(self._wire.when_idle, drained)

    async def _serve(self, ready: Callable[[LoopRunner], None]) -> None:
        debug = is_debug(self._setup["log_level"])
        interface = "Tornado" if self._setup["interface"] == TORNADO else "ASGI"
        lifespan = Lifespan(self._application, self._setup["lifespan"], self._setup["target"], debug)
        await lifespan.startup()
        self.lifespan = lifespan.supported
        doorbell, links = self._links
        self._wire = wire = AsyncLoop(
            application=self._application,
            event_loop=self.loop,
            doorbell=doorbell,
            links=links,
            root_path=self._setup["root_path"],
            state=lifespan.state if lifespan.supported else None,
            report=_reporter(interface),
            debug=debugger(interface) if debug else None,
            message_cost=self._setup.get("message_cost", 0),
            targets=self._targets,
        )
        for memfd, _, _ in links:
            os.close(memfd)
        self.loop.add_reader(doorbell, wire.on_doorbell)
        self.loop.call_soon(wire.turn)
        ready(self)
        await self._stop.wait()
        self.loop.remove_reader(doorbell)
        wire.close()
        await _cancel(wire.tasks())
        await lifespan.shutdown()

    def _close(self) -> None:
        if self._wire:  # what still runs was cut off by the server, or is left to it
            self._wire.close()
        try:
            self.loop.run_until_complete(_cancel(list(asyncio.all_tasks(self.loop))))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    tasks = [task for task in tasks if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CANCEL_GRACE)


class Worker:
    """The worker's loops together: the first on the main thread with the control socket, the others on threads of their own."""

    def __init__(self, control: Control, setup: dict[str, Any], runners: list[LoopRunner]) -> None:
        self._control = control
        self._setup = setup
        self._runners = runners
        self._lock = threading.Lock()
        self._not_ready = len(runners)
        self._not_drained = len(runners)
        self._error: BaseException | None = None

    def run(self) -> None:
        """Serve until the server says stop. Raises ``StartupError``."""
        main, *others = self._runners
        threads = [threading.Thread(target=self._run, args=(runner,), name=f"loop-{n}") for n, runner in enumerate(others, 1)]
        for thread in threads:
            thread.start()
        main.loop.add_reader(self._control, self._on_control)
        main.loop.add_signal_handler(signal.SIGTERM, self._stop)
        self._run(main)
        for thread in threads:
            thread.join()
        if self._error:
            raise self._error

    def _run(self, runner: LoopRunner) -> None:
        try:
            runner.run(self._on_ready)
        except BaseException as error:
            self._error = self._error or error
        finally:
            self._stop()

    def _on_ready(self, runner: LoopRunner) -> None:
        with self._lock:
            self._not_ready -= 1
            ready = self._not_ready == 0
        if ready:
            gc.collect()
            gc.freeze()
            self._control.send("ready", interface=self._setup["interface"], loop=self._setup["loop"], lifespan=runner.lifespan)

    def _on_drained(self) -> None:
        with self._lock:
            self._not_drained -= 1
            drained = self._not_drained == 0
        if drained:
            self._control.send("drained")

    def _on_control(self) -> None:
        try:
            messages = self._control.poll()
        except Closed:
            self._runners[0].loop.remove_reader(self._control)
            return
        for message in messages:
            if message["type"] == "drain":
                for runner in self._runners:
                    runner.drain(self._on_drained)
            elif message["type"] == "stop":
                self._stop()

    def _stop(self) -> None:
        for runner in self._runners:
            if not runner.loop.is_closed():
                runner.stop()


def serve(control: Control, setup: dict[str, Any], application: ASGI3, factory: LoopFactory, links: list[Links]) -> None:
    """Serve an ASGI 3 application until the server says stop, and the setup's targets. Raises ``StartupError``."""
    targets = _targets.load(setup, application)
    try:
        runners = [LoopRunner(application, factory, setup, link, targets) for link in links]
    except Exception as error:
        raise StartupError("setup", f"can't make the event loop `{setup['loop']}`: {error}") from error
    Worker(control, setup, runners).run()
