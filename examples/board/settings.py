"""What the environment decides: where the data is kept, and who is told of it."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    data: Path
    database_url: str
    pool: int
    redis_url: str

    @classmethod
    def from_environment(cls) -> "Settings":
        """Reads BOARD_DATA (a folder, made if missing), DATABASE_URL (default: board.db in it), BOARD_POOL and BOARD_REDIS."""
        data = Path(os.environ.get("BOARD_DATA") or Path(__file__).parent / "data").resolve()
        url = os.environ.get("DATABASE_URL") or f"sqlite:///{data}/board.db"
        pool = max(2, int(os.environ.get("BOARD_POOL") or 5))
        return cls(data, url, pool, os.environ.get("BOARD_REDIS", ""))

    @property
    def files(self) -> Path:
        """The folder of the uploaded files."""
        return self.data / "files"

    @property
    def notifications(self) -> Path:
        return self.data / "notifications.log"
