"""Lines, datagrams and mail: for awaitd as targets, for the peers as a program.

`echoes.py asyncio|uvloop tcp|tls|udp|mail`, with the certificate for tls in ``CERTIFICATE``.
"""

import asyncio
import importlib
import os
import ssl
import sys
from typing import Any


async def lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


class Mail:
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        return "250 OK"


async def serve(job: str) -> None:
    loop = asyncio.get_running_loop()
    if job == "tcp":
        port = (await asyncio.start_server(lines, "127.0.0.1", 0)).sockets[0].getsockname()[1]
    elif job == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.environ["CERTIFICATE"])
        port = (await asyncio.start_server(lines, "127.0.0.1", 0, ssl=context)).sockets[0].getsockname()[1]
    elif job == "udp":
        transport, _ = await loop.create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
    else:
        smtp = importlib.import_module("aiosmtpd.smtp").SMTP
        server = await loop.create_server(lambda: smtp(Mail(), hostname="bench"), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
    print(f"ready on 127.0.0.1:{port}:", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    run = importlib.import_module("uvloop").run if sys.argv[1] == "uvloop" else asyncio.run
    run(serve(sys.argv[2]))
