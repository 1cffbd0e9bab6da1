"""awaitd: an application server for Python's async era.

Go owns every socket, Python owns every await: the command ``awaitd main:app`` is a Go program that starts this package's
worker and speaks with it through shared memory. What an application may want of it from Python is here.

Everything is imported when first used: a worker that needs none of it pays for none of it.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # type checkers know better; importing typing would take longer than all the rest
if TYPE_CHECKING:
    from ._client import AsyncTransport, Transport
    from ._client_requests import RequestsAdapter
    from ._errors import ClientDisconnected
    from ._hooks import after_fork, before_fork
    from ._run import run
    from ._wire import broadcast

    __version__: str

__all__ = [
    "AsyncTransport",
    "ClientDisconnected",
    "RequestsAdapter",
    "Transport",
    "__version__",
    "after_fork",
    "before_fork",
    "broadcast",
    "run",
]

_HOMES = {
    "AsyncTransport": "._client",
    "RequestsAdapter": "._client_requests",
    "Transport": "._client",
    "ClientDisconnected": "._errors",
    "__version__": "._version",
    "after_fork": "._hooks",
    "before_fork": "._hooks",
    "broadcast": "._wire",
    "run": "._run",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
