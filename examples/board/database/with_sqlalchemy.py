"""PostgreSQL by SQLAlchemy's ORM, on asyncpg: a session for each thing that is asked."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import Select, delete, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload

from database import WAIT_SECONDS, Table, Unavailable, shown
from database.models import Attachment, Line, Measured, Message
from database.schema import POSTGRESQL, RECORD, WRITE_LOCK
from schemas import Figure, LineIn, LineOut, MessageIn, MessageOut, StoredFile

IDS = {"message": Message.id, "line": Line.id}


class Alchemy:
    def __init__(self, url: str, pool: int) -> None:
        self._url = url
        self._engine = create_async_engine(
            url,
            pool_size=pool,
            max_overflow=0,  # else there may be ten more, and max_connections is hard to reckon with
            pool_timeout=WAIT_SECONDS,
            pool_pre_ping=True,  # a connection that PostgreSQL has ended meanwhile is replaced before it is used
            connect_args={
                "timeout": WAIT_SECONDS,
                "command_timeout": 30,
                "server_settings": {"application_name": "board"},
            },
        )
        # Without expire_on_commit what was read stays readable when the session has ended.
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def open(self) -> None:
        try:
            async with self._writing() as session:
                connection = await session.connection()
                for statement in POSTGRESQL.split(";"):
                    await connection.exec_driver_sql(statement)
        except Unavailable as error:
            raise Unavailable(f"can't connect to the database {shown(self._url)}: {error}") from error

    async def close(self) -> None:
        await self._engine.dispose()

    async def newest(self, table: Table) -> int:
        async with self._session() as session:
            return await session.scalar(select(func.max(IDS[table]))) or 0

    async def add_message(self, message: MessageIn, files: Sequence[StoredFile]) -> MessageOut:
        async with self._writing() as session:
            row = Message(**message.model_dump(), attachments=[Attachment(**file.model_dump()) for file in files])
            session.add(row)
        return MessageOut.model_validate(row)

    async def messages_before(self, before: int, limit: int) -> list[MessageOut]:
        return await self._messages(select(Message).where(Message.id < before).order_by(Message.id.desc()).limit(limit))

    async def messages_after(self, last: int, limit: int) -> list[MessageOut]:
        return await self._messages(select(Message).where(Message.id > last).order_by(Message.id).limit(limit))

    async def file(self, attachment_id: int) -> StoredFile | None:
        async with self._session() as session:
            row = await session.get(Attachment, attachment_id)
            return StoredFile.model_validate(row) if row else None

    async def add_line(self, line: LineIn, kept: int) -> None:
        async with self._writing() as session:
            row = Line(**line.model_dump())
            session.add(row)
            await session.flush()
            if row.id % 100 == 0:
                await session.execute(delete(Line).where(Line.id <= row.id - kept))

    async def lines_after(self, last: int, limit: int) -> list[LineOut]:
        async with self._session() as session:
            rows = await session.scalars(select(Line).where(Line.id > last).order_by(Line.id).limit(limit))
            return [LineOut.model_validate(row) for row in rows]

    async def history_start(self, lines: int) -> int:
        async with self._session() as session:
            return await session.scalar(select(Line.id).order_by(Line.id.desc()).offset(lines).limit(1)) or 0

    async def record(self, figures: Sequence[Figure], adds: bool) -> None:
        async with self._writing() as session:
            connection = await session.connection()
            for figure in figures:
                await connection.exec_driver_sql(RECORD[adds], (figure.name, figure.value))

    async def figures(self) -> list[Figure]:
        async with self._session() as session:
            rows = await session.scalars(select(Measured).order_by(Measured.name))
            return [Figure.model_validate(row) for row in rows]

    async def _messages(self, query: Select[Message]) -> list[MessageOut]:
        async with self._session() as session:
            rows = await session.scalars(query.options(selectinload(Message.attachments)))
            return [MessageOut.model_validate(row) for row in rows]

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncSession]:
        async with self._session() as session, session.begin():
            await session.execute(select(func.pg_advisory_xact_lock(WRITE_LOCK)))
            yield session

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncSession]:
        try:
            async with self._sessions() as session:
                yield session
        except (OSError, PoolTimeoutError) as error:
            raise Unavailable(str(error)) from error
        except DBAPIError as error:
            if error.connection_invalidated or _state(error)[:2] in {"08", "53", "57"}:
                raise Unavailable(str(error.orig)) from error
            raise


def _state(error: DBAPIError) -> str:
    """PostgreSQL's code: 08 is a lost connection, 53 too many of them, 57 a server that is going or coming."""
    return getattr(error.orig, "sqlstate", None) or ""
