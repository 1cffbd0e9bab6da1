"""What the board asks of a database, and which of the three ways DATABASE_URL chooses."""

from collections.abc import Sequence
from typing import Literal, Protocol
from urllib.parse import urlsplit

from schemas import Figure, LineIn, LineOut, MessageIn, MessageOut, StoredFile

Table = Literal["message", "line"]
MOST_FIGURES = 100
WAIT_SECONDS = 10  # for a connection that is free, or that is made; then the request gets a 503


class Unavailable(Exception):
    """The database does not answer, or not now. Whoever asked may ask again."""


class Database(Protocol):
    """One per event loop, with a pool of its own from `open` to `close`.

    A live reader asks for what is newer than the last id it saw. That is right only if ids become visible in their own order,
    and two PostgreSQL transactions side by side may well commit 8 before 7: the reader would never see 7. So what is added is
    added in a transaction that is the only writer until its end.
    """

    async def open(self) -> None:
        """Connects, and makes the tables if there are none. Several workers do this at once."""

    async def close(self) -> None:
        """Ends every connection. It may be called after an `open` that failed."""

    async def newest(self, table: Table) -> int:
        """The highest id; 0 in an empty table."""

    async def add_message(self, message: MessageIn, files: Sequence[StoredFile]) -> MessageOut: ...

    async def messages_before(self, before: int, limit: int) -> list[MessageOut]:
        """Newest first."""

    async def messages_after(self, last: int, limit: int) -> list[MessageOut]:
        """Oldest first."""

    async def file(self, attachment_id: int) -> StoredFile | None: ...

    async def add_line(self, line: LineIn, kept: int) -> None:
        """Adds what was said in the chat, and drops now and then what is older than the last `kept` lines."""

    async def lines_after(self, last: int, limit: int) -> list[LineOut]:
        """Oldest first."""

    async def history_start(self, lines: int) -> int:
        """The id before the last so many lines."""

    async def record(self, figures: Sequence[Figure], adds: bool) -> None:
        """Sets figures, or adds to them. There are MOST_FIGURES; others are left out."""

    async def figures(self) -> list[Figure]:
        """By name."""


def database(url: str, pool: int) -> Database:
    """Each driver is imported only where it is used, so nobody has to install the others."""
    match url.partition("://")[0]:
        case "sqlite" | "sqlite+aiosqlite":
            from database.with_aiosqlite import AioSQLite

            return AioSQLite(url.partition(":///")[2], pool)
        case "postgresql" | "postgres":
            from database.with_asyncpg import AsyncPG

            return AsyncPG(url, pool)
        case "postgresql+asyncpg":
            from database.with_sqlalchemy import Alchemy

            return Alchemy(url, pool)
    raise ValueError(f"DATABASE_URL: {shown(url)} is none of sqlite:///…, postgresql://… and postgresql+asyncpg://…")


def shown(url: str) -> str:
    """The address as it may stand in a log: without a password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
