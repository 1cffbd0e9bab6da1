"""What the environment decides: where the data is kept."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    data: Path
    database_url: str

    @classmethod
    def from_environment(cls) -> "Settings":
        """Reads BOARD_DATA (a folder, made if missing) and DATABASE_URL (default: board.db in that folder)."""
        data = Path(os.environ.get("BOARD_DATA") or Path(__file__).parent / "data").resolve()
        url = os.environ.get("DATABASE_URL") or f"sqlite+aiosqlite:///{data}/board.db"
        # Hosting platforms hand out `postgres://…`; SQLAlchemy also wants to know the driver.
        for scheme in ("postgres://", "postgresql://"):
            if url.startswith(scheme):
                url = "postgresql+asyncpg://" + url.removeprefix(scheme)
        return cls(data, url)

    @property
    def files(self) -> Path:
        """The folder of the uploaded files."""
        return self.data / "files"

    @property
    def notifications(self) -> Path:
        return self.data / "notifications.log"
