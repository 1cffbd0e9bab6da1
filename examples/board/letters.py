"""Posts by mail: `swaks --server 127.0.0.1:8025 --to board@localhost`. Attachments come along."""

import io
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from typing import Any

from fastapi import UploadFile
from pydantic import ValidationError

from attachments import MAX_FILES, too_large
from board import Board
from database import Unavailable
from schemas import MessageIn

PARSER = BytesParser(EmailMessage, policy=policy.SMTPUTF8)


class Letters:
    """A handler as aiosmtpd has it. 250 is said when the post is in the database, so no letter is lost."""

    def __init__(self) -> None:
        self.board: Board | None = None  # while the application runs

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.partition("@")[0].lower() != "board":
            return "550 5.1.1 only the board itself has an address here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if not self.board:
            return "451 4.3.2 the board is closed"
        letter = PARSER.parsebytes(envelope.content)
        try:
            message = MessageIn(author=author_of(letter, envelope.mail_from), body=body_of(letter))
        except ValidationError as error:
            problem = error.errors()[0]
            return f"554 5.6.0 {problem['loc'][0]}: {problem['msg']}"
        uploads = [upload_of(part) for part in letter.iter_attachments()]
        if len(uploads) > MAX_FILES or any(map(too_large, uploads)):
            return "552 5.3.4 too many files, or one that is too large"
        try:
            posted = await self.board.post(message, uploads)
        except Unavailable:
            return "451 4.3.0 the board can't keep it now; please try again"
        return f"250 2.0.0 posted as {posted.id}"


def author_of(letter: EmailMessage, mail_from: str) -> str:
    """The name of the sender; without one, the address before the @."""
    senders = letter["from"].addresses if letter["from"] else ()
    name = senders[0].display_name or senders[0].username if senders else mail_from.partition("@")[0]
    return "".join(c for c in name if c.isprintable())[:40] or "?"


def body_of(letter: EmailMessage) -> str:
    """The subject, and the text if there is one."""
    part = letter.get_body(("plain",))
    text = part.get_content() if part else ""
    subject = letter["subject"] or ""
    return f"{subject}\n\n{text}".strip() if subject else text


def upload_of(part: MIMEPart) -> UploadFile:
    content = part.get_payload(decode=True)
    data = content if isinstance(content, bytes) else b""
    return UploadFile(io.BytesIO(data), size=len(data), filename=part.get_filename())
