"""Exceptions that an application may see."""


class ClientDisconnected(OSError):
    """The client left before the response was sent: raised by ``send()``, quiet in the log if it leaves the application."""

    __module__ = "awaitd"


class StartupError(Exception):
    """The worker can't start the application; what the user is told."""

    def __init__(self, stage: str, message: str, hint: str = "", traceback: str = "") -> None:
        super().__init__(message)
        self.stage = stage
        self.message = message
        self.hint = hint
        self.traceback = traceback
