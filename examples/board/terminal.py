"""The chat for a terminal: `nc 127.0.0.1 8001`. Lines in, lines out, over TCP."""

import asyncio
from asyncio import StreamReader, StreamWriter

from pydantic import ValidationError

from chat import Chat
from database import Unavailable
from schemas import LineIn, LineOut


class Terminal:
    """Takes connections as asyncio.start_server() would hand them over: a name comes first, then one line after the other."""

    def __init__(self) -> None:
        self.chat: Chat | None = None  # while the application runs

    async def __call__(self, reader: StreamReader, writer: StreamWriter) -> None:
        if not self.chat:
            writer.write(b"! the board is closed\n")
            return
        writer.write(b"Your name? ")
        author = text_of(await reader.readline())
        hearing = asyncio.create_task(hear(self.chat, writer))
        try:
            await talk(self.chat, author, reader, writer)
        finally:
            hearing.cancel()


async def talk(chat: Chat, author: str, reader: StreamReader, writer: StreamWriter) -> None:
    """Says what comes, until the end."""
    while True:
        try:
            line = await reader.readline()
        except ValueError:
            writer.write(b"! that was too long\n")
            continue
        if not line:
            return
        if text := text_of(line):
            await say(chat, author, text, writer)


async def say(chat: Chat, author: str, text: str, writer: StreamWriter) -> None:
    try:
        await chat.say(LineIn(author=author, text=text))
    except ValidationError as error:
        problem = error.errors()[0]
        writer.write(f"! {problem['loc'][0]}: {problem['msg']}\n".encode())
    except Unavailable:
        writer.write(b"! that was not kept; please say it again\n")


async def hear(chat: Chat, writer: StreamWriter) -> None:
    """Writes what anybody says, as fast as the terminal takes it."""
    async for line in chat.lines():
        writer.write(shown(line))
        await writer.drain()


def text_of(line: bytes) -> str:
    return line.decode(errors="replace").strip()


def shown(line: LineOut) -> bytes:
    """One line; what could steer a terminal is left out."""
    text = f"{line.author}: {line.text}"
    return "".join(c if c.isprintable() else " " for c in text).encode() + b"\n"
