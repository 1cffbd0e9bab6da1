"""The board itself: the only module that reads and writes messages. Pages, API and live view are three doors to it."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import Depends, UploadFile
from fastapi.requests import HTTPConnection
from sqlalchemy import Select, func, select
from sqlalchemy.orm import selectinload

from attachments import discard, store
from chat import Chat
from database import Database
from live import Feed
from models import Attachment, Message
from schemas import MessageIn, MessageOut, MessagePage
from settings import Settings

EXPORT_BATCH = 500  # messages in memory at once, whatever the board's size


class Board:
    """One per event loop, from the lifespan's start to its end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.feed = Feed(self.newest_id, self.after)
        self.chat = Chat(self.database)

    async def post(self, message: MessageIn, uploads: Sequence[UploadFile] = ()) -> MessageOut:
        attachments = await store(uploads, self.settings.files)
        try:
            async with self.database.writing() as session:
                row = Message(**message.model_dump(), attachments=attachments)
                session.add(row)
        except BaseException:
            discard(attachments, self.settings.files)
            raise
        self.feed.look()
        return MessageOut.model_validate(row)

    async def get(self, message_id: int) -> MessageOut | None:
        async with self.database.session() as session:
            row = await session.get(Message, message_id, options=[selectinload(Message.attachments)])
            return MessageOut.model_validate(row) if row else None

    async def attachment(self, attachment_id: int) -> Attachment | None:
        async with self.database.session() as session:
            return await session.get(Attachment, attachment_id)

    async def newest_id(self) -> int:
        async with self.database.session() as session:
            return await session.scalar(select(func.max(Message.id))) or 0

    async def page(self, before: int | None, limit: int) -> MessagePage:
        """The newest messages, or those before an id. By id and not by offset: page 1,000 costs as much as page 1."""
        query = select(Message).order_by(Message.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(Message.id < before)
        found = await self._read(query)
        items = found[:limit]
        return MessagePage(items=items, next_before=items[-1].id if len(found) > limit else None)

    async def after(self, last: int, limit: int) -> list[MessageOut]:
        """The next messages after an id, oldest first."""
        return await self._read(select(Message).where(Message.id > last).order_by(Message.id).limit(limit))

    async def export(self) -> AsyncIterator[bytes]:
        """All messages up to now, one JSON object a line, a batch at a time.

        Each batch is a query of its own, so a slow reader holds neither a transaction nor one of the pool's connections.
        """
        last, end = 0, await self.newest_id()
        while last < end:
            batch = await self.after(last, EXPORT_BATCH)
            last = batch[-1].id if batch else end
            yield b"".join(message.model_dump_json().encode() + b"\n" for message in batch if message.id <= end)

    async def _read(self, query: Select[Message]) -> list[MessageOut]:
        async with self.database.session() as session:
            rows = await session.scalars(query.options(selectinload(Message.attachments)))
            return [MessageOut.model_validate(row) for row in rows]


def _board(connection: HTTPConnection) -> Board:
    board: Board = connection.state.board
    return board


BoardDependency = Annotated[Board, Depends(_board)]
