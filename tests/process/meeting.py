"""Named pipes at which tests and the application meet: who is at one waits for the other, or at a gate, until it is open."""

import os
from pathlib import Path

from harness import eventually


class Gate:
    """A named pipe with nothing in it until it is open: then for all who wait there, and who come later."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._pipe = os.open(path, os.O_RDWR)  # both ends, so that it waits for nobody and keeps what is in it

    def __enter__(self) -> "Gate":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._pipe)
        self.path.unlink()

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> None:
        os.write(self._pipe, b"!")


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
