"""What few handlers of asyncio's streams ask for: ``StreamWriter.transport``, and ``start_tls``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from ._tls import details


class Transport(asyncio.Transport):
    """A connection's transport, by its ``StreamWriter``."""

    def __init__(self, writer: Any) -> None:
        super().__init__()
        self._writer = writer

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return ``peername``, ``sockname``, ``cipher`` or ``tls``; the default for all else."""
        return self._writer.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Say whether the connection is closed, or about to be."""
        return bool(self._writer.is_closing())

    def close(self) -> None:
        """Close the connection when what was written has left."""
        self._writer.close()

    def abort(self) -> None:
        """Reset the connection."""
        self._writer.abort()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send bytes, now or when there is room."""
        self._writer.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Send all bytes of an iterable."""
        self._writer.writelines(list_of_data)

    def write_eof(self) -> None:
        """Tell the client, behind what was written, that no more comes."""
        self._writer.write_eof()

    def can_write_eof(self) -> bool:
        """Return ``True``."""
        return True

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for room."""
        return int(self._writer._waiting)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the limits, which are fixed: ``drain()`` waits until nothing is left."""
        return 0, 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: the server has its own limits."""

    def is_reading(self) -> bool:
        """Say whether the client is read: until the connection is closed."""
        return not self.is_closing()


async def start_tls(
    writer: Any,
    sslcontext: Any = None,
    *,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> None:
    """Go on in TLS. The socket is the server's, and so is the certificate; the arguments are asyncio's, and mean nothing here.

    What the client has sent and the handler has not read belongs to the handshake, and goes back to the server: so nothing that
    came before TLS can be taken for something that came in it.
    """
    await writer.drain()
    said: asyncio.Queue[bytes | None] = asyncio.Queue()
    writer._listen(said.put_nowait)
    try:
        writer._say(b"")
        if refusal := await _hear(said):
            raise RuntimeError(refusal.decode())
        if unread := writer._unread():
            writer._say(unread)
        writer._say(b"")
        writer._secured(details(await _hear(said)))
    finally:
        if not writer.is_closing():
            writer._listen(None)


async def _hear(said: asyncio.Queue[bytes | None]) -> bytes:
    text = await said.get()
    if text is None:
        raise ConnectionResetError("Connection lost")
    return text
