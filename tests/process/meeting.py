"""Named pipes at which tests and the application meet: who is at one waits for the other."""

import os
from pathlib import Path

from harness import eventually


def blocked(pipe: Path) -> None:
    """Waits until the application blocks at the pipe."""
    eventually(Path(f"{pipe}.here").exists, 20)


def release(pipe: Path) -> None:
    """Lets the application at the pipe go on."""
    os.close(eventually(lambda: _open(pipe)))


def _open(pipe: Path) -> int:
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return 0  # it is about to
