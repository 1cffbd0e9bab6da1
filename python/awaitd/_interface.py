"""Tell ASGI 3, ASGI 2, WSGI and Tornado applications from each other, and run an ASGI 2 one as ASGI 3."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGI3: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

ASGI_3, ASGI_2, WSGI, TORNADO = "asgi3", "asgi2", "wsgi", "tornado"

#: How many arguments each interface calls an application with.
_BY_ARGUMENTS = {1: ASGI_2, 2: WSGI, 3: ASGI_3}


def detect(application: Callable[..., Any]) -> str:
    """Return ``"tornado"``, ``"asgi3"``, ``"asgi2"`` or ``"wsgi"``: by class, by ``async``, then by the number of arguments."""
    if is_tornado(application):
        return TORNADO
    if inspect.isclass(application):
        if hasattr(application, "__await__"):
            return ASGI_3
    elif _is_async(application):
        return ASGI_3
    own = _BY_ARGUMENTS.get(required_arguments(application))
    # A decorated function that takes `*args` passes on what it gets, or makes one argument of it, as Werkzeug's
    # `Request.application` does: what it wraps tells ASGI 3 from WSGI, but one argument there is not ASGI 2.
    wrapped = ASGI_3 if required_arguments(application, follow_wrapped=True) == 3 else WSGI
    return own or wrapped


def is_tornado(application: object) -> bool:
    """Say whether it is a ``tornado.web.Application``, or another of what Tornado's HTTPServer takes. Tornado is not imported:
    what is one has been made by it."""
    module = sys.modules.get("tornado.httputil")
    return module is not None and isinstance(application, module.HTTPServerConnectionDelegate)


def _is_async(application: Callable[..., Any]) -> bool:
    while isinstance(application, functools.partial):
        application = application.func
    return inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(
        getattr(application, "__call__", None)  # noqa: B004 (the method itself is looked at)
    )


def required_arguments(application: Callable[..., Any], follow_wrapped: bool = False) -> int:
    """Return how many arguments a call must have; 0 if that can't be known."""
    try:
        parameters = inspect.signature(application, follow_wrapped=follow_wrapped).parameters.values()
    except (TypeError, ValueError):
        return 0
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters)


def from_asgi2(application: Callable[[Scope], Callable[[Receive, Send], Awaitable[None]]]) -> ASGI3:
    """Adapt a double callable."""

    async def asgi3(scope: Scope, receive: Receive, send: Send) -> None:
        scope["asgi"] = {**scope["asgi"], "version": "2.0"}
        await application(scope)(receive, send)

    return asgi3
