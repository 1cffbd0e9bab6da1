"""The board itself: the only module that reads and writes messages. Pages, API and live view are three doors to it."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import Depends, UploadFile
from fastapi.requests import HTTPConnection

from attachments import discard, store
from channel import channel
from chat import Chat
from database import Unavailable, database
from live import Feed
from meter import Meter
from schemas import MAX_ID, MessageIn, MessageOut, MessagePage, StoredFile
from settings import Settings

EXPORT_BATCH = 500  # messages in memory at once, whatever the board's size


class Board:
    """One per event loop, from the lifespan's start to its end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = database(settings.database_url, settings.pool)
        self.channel = channel(settings.redis_url)
        self.feed = Feed("message", self.database.newest, self.database.messages_after, self.channel)
        self.chat = Chat(self.database, self.channel)
        self.meter = Meter(self.database)

    async def open(self) -> None:
        await self.database.open()
        await self.channel.open()
        await self.feed.start()
        await self.chat.start()
        await self.meter.start()

    async def close(self) -> None:
        """What was opened, last first; it may be less than all."""
        await self.meter.stop()
        await self.chat.stop()
        await self.feed.stop()
        await self.channel.close()
        await self.database.close()

    async def post(self, message: MessageIn, uploads: Sequence[UploadFile] = ()) -> MessageOut:
        attachments = await store(uploads, self.settings.files)
        try:
            posted = await self.database.add_message(message, attachments)
        except Unavailable:  # what was lost may be the answer to COMMIT, and then the message is there and wants its files
            raise
        except Exception:
            discard(attachments, self.settings.files)
            raise
        await self.feed.tell()
        return posted

    async def get(self, message_id: int) -> MessageOut | None:
        found = await self.database.messages_after(message_id - 1, 1)
        return found[0] if found and found[0].id == message_id else None

    async def attachment(self, attachment_id: int) -> StoredFile | None:
        return await self.database.file(attachment_id)

    async def page(self, before: int | None, limit: int) -> MessagePage:
        """The newest messages, or those before an id. By id and not by offset: page 1,000 costs as much as page 1."""
        found = await self.database.messages_before(MAX_ID if before is None else before, limit + 1)
        items = found[:limit]
        return MessagePage(items=items, next_before=items[-1].id if len(found) > limit else None)

    async def export(self) -> AsyncIterator[bytes]:
        """All messages up to now, one JSON object a line, a batch at a time.

        Each batch is a query of its own, so a slow reader holds neither a transaction nor one of the pool's connections.
        """
        last, end = 0, await self.database.newest("message")
        while last < end:
            batch = await self.database.messages_after(last, EXPORT_BATCH)
            last = batch[-1].id if batch else end
            yield b"".join(message.model_dump_json().encode() + b"\n" for message in batch if message.id <= end)


def _board(connection: HTTPConnection) -> Board:
    board: Board = connection.state.board
    return board


BoardDependency = Annotated[Board, Depends(_board)]
