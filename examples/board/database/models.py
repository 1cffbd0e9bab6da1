"""The tables of schema.py as SQLAlchemy's ORM sees them."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, String, Text, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    type_annotation_map = {int: BigInteger, datetime: DateTime(timezone=True)}


class Message(Base):
    __tablename__ = "message"

    id: Mapped[int] = mapped_column(primary_key=True)
    author: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(insert_default=func.current_timestamp())
    # "raise": under asyncio nothing may be loaded by looking at an attribute, so each query says what it wants.
    attachments: Mapped[list["Attachment"]] = relationship(lazy="raise", order_by="Attachment.id")

    __mapper_args__ = {"eager_defaults": True}  # created_at comes back with the INSERT


class Attachment(Base):
    __tablename__ = "attachment"

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(120))
    content_type: Mapped[str] = mapped_column(String(120))
    size: Mapped[int]
    stored_as: Mapped[str] = mapped_column(String(32))


class Line(Base):
    """What was said in the chat. Only the newest lines are kept."""

    __tablename__ = "line"

    id: Mapped[int] = mapped_column(primary_key=True)
    author: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(insert_default=func.current_timestamp())


class Measured(Base):
    """The newest value of something."""

    __tablename__ = "figure"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[float]
