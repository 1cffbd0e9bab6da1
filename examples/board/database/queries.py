"""The board's queries, in SQL that SQLite and PostgreSQL both speak, `$1` included."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from database import Table
from database.schema import RECORD
from schemas import MAX_ID, AttachmentOut, Figure, LineIn, LineOut, MessageIn, MessageOut, StoredFile

Row = Mapping[str, Any]
Fetch = Callable[..., Awaitable[Sequence[Row]]]  # a query and its values


class Queries:
    """A driver adds `fetch`, on any connection, and `writing`, a transaction that is the only writer and gives its `fetch`."""

    fetch: Fetch
    writing: Callable[[], AbstractAsyncContextManager[Fetch]]

    async def newest(self, table: Table) -> int:
        return (await self.fetch(f"SELECT max(id) AS id FROM {table}"))[0]["id"] or 0

    async def add_message(self, message: MessageIn, files: Sequence[StoredFile]) -> MessageOut:
        insert = "INSERT INTO message (author, body, created_at) VALUES ($1, $2, CURRENT_TIMESTAMP) RETURNING *"
        attach = (
            "INSERT INTO attachment (message_id, name, content_type, size, stored_as) VALUES ($1, $2, $3, $4, $5) RETURNING *"
        )
        async with self.writing() as fetch:
            (row,) = await fetch(insert, message.author, message.body)
            stored = [(await fetch(attach, row["id"], f.name, f.content_type, f.size, f.stored_as))[0] for f in files]
        return MessageOut(**row, attachments=[AttachmentOut(**file) for file in stored])

    async def messages_before(self, before: int, limit: int) -> list[MessageOut]:
        return await self._messages("SELECT * FROM message WHERE id < $1 ORDER BY id DESC LIMIT $2", before, limit)

    async def messages_after(self, last: int, limit: int) -> list[MessageOut]:
        return await self._messages("SELECT * FROM message WHERE id > $1 ORDER BY id LIMIT $2", last, limit)

    async def file(self, attachment_id: int) -> StoredFile | None:
        rows = await self.fetch("SELECT name, content_type, size, stored_as FROM attachment WHERE id = $1", attachment_id)
        return StoredFile(**rows[0]) if rows else None

    async def add_line(self, line: LineIn, kept: int) -> None:
        insert = "INSERT INTO line (author, text, created_at) VALUES ($1, $2, CURRENT_TIMESTAMP) RETURNING id"
        async with self.writing() as fetch:
            (row,) = await fetch(insert, line.author, line.text)
            if row["id"] % 100 == 0:
                await fetch("DELETE FROM line WHERE id <= $1", row["id"] - kept)

    async def lines_after(self, last: int, limit: int) -> list[LineOut]:
        rows = await self.fetch("SELECT * FROM line WHERE id > $1 ORDER BY id LIMIT $2", last, limit)
        return [LineOut(**row) for row in rows]

    async def history_start(self, lines: int) -> int:
        rows = await self.fetch("SELECT id FROM line ORDER BY id DESC LIMIT 1 OFFSET $1", lines)
        return rows[0]["id"] if rows else 0

    async def record(self, figures: Sequence[Figure], adds: bool) -> None:
        async with self.writing() as fetch:
            for figure in figures:
                await fetch(RECORD[adds], figure.name, figure.value)

    async def figures(self) -> list[Figure]:
        return [Figure(**row) for row in await self.fetch("SELECT * FROM figure ORDER BY name")]

    async def _messages(self, query: str, border: int, limit: int) -> list[MessageOut]:
        rows = await self.fetch(query, min(border, MAX_ID), limit)
        if not rows:
            return []
        # What was found is every message between the first and the last of it, so this needs no list of ids.
        between = "SELECT * FROM attachment WHERE message_id BETWEEN $1 AND $2 ORDER BY id"
        attachments = defaultdict(list)
        for file in await self.fetch(between, *sorted((rows[0]["id"], rows[-1]["id"]))):
            attachments[file["message_id"]].append(AttachmentOut(**file))
        return [MessageOut(**row, attachments=attachments[row["id"]]) for row in rows]
