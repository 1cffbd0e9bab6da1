"""What comes in and what goes out, for the page and for the JSON API alike."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MAX_ID = 2**63 - 1  # what both databases can compare a row id with


def _unix_newlines(value: object) -> object:
    """Browsers count a new line as one character and send it as two."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    return value


def _in_utc(value: datetime) -> datetime:
    """SQLite has no time zones: what it keeps is UTC without saying so."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Time = Annotated[datetime, AfterValidator(_in_utc)]
Author = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["Grace"])]
Body = Annotated[
    str, Field(min_length=1, max_length=4000, examples=["Hi"]), BeforeValidator(_unix_newlines), AfterValidator(_no_nul)
]


class MessageIn(BaseModel):
    """A message as somebody writes it."""

    model_config = ConfigDict(str_strip_whitespace=True, extra="forbid")

    author: Author
    body: Body


class StoredFile(BaseModel):
    """An upload as it lies in the folder of files, whether or not its message is in the database."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    content_type: str
    size: int
    stored_as: str


class Figure(BaseModel):
    """Something that is counted or measured somewhere."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    value: float


class AttachmentOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    content_type: str
    size: int


class MessageOut(BaseModel):
    """A message as everybody reads it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    author: str
    body: str
    created_at: Time
    attachments: list[AttachmentOut]


class MessagePage(BaseModel):
    """Newest first; ask for the rest with `before=next_before` until that is null."""

    items: list[MessageOut]
    next_before: int | None


class LineIn(BaseModel):
    """What somebody says in the chat."""

    model_config = ConfigDict(str_strip_whitespace=True, extra="forbid")

    author: Author
    text: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_no_nul)]


class LineOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    author: str
    text: str
    created_at: Time
