"""Run a WSGI application on threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._control import Control


def serve(control: Control, setup: dict[str, Any], application: Callable[..., Any], links: list[Any]) -> None:
    raise NotImplementedError
