"""One start of one server: what every command line is made from, and the conditions that are the same for all."""

from dataclasses import dataclass
from pathlib import Path

KEEP_ALIVE = "3600"
BACKLOG = "4096"
UNLIMITED = "1000000000"


@dataclass(frozen=True)
class Launch:
    """The application, the port that is asked, and a directory of its own.

    With a `way` (nginx's `uwsgi_pass` or `proxy_pass`) nginx has the port and the server a unix socket behind it.
    """

    target: str
    port: int
    connections: int
    directory: Path
    threads: int = 1
    way: str = ""
    workers: int = 1

    @property
    def wsgi(self) -> bool:
        return self.target.endswith((":wsgi", ".wsgi:application"))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def socket(self) -> str:
        return str(self.directory / "application.sock")

    @property
    def control(self) -> str:
        """Where awaitd is asked for its status."""
        return str(self.directory / "control.sock")
