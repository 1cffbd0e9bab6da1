"""What a failed build says: one line that names the cause, and a hint where something can be done about it."""

from __future__ import annotations

from typing import NoReturn


def fail(message: str, hint: str = "") -> NoReturn:
    """End the build with ``error: MESSAGE`` and ``hint: HINT`` on stderr and exit code 1, without a traceback."""
    raise SystemExit(f"error: {message}" + (f"\nhint: {hint}" if hint else ""))
