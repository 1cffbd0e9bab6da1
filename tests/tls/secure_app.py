"""What is served in TLS: HTTP, WebSocket, streams, mail."""

import hashlib
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise RuntimeError("there is none")
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
        return
    status, body = 200, b""
    match scope["path"]:
        case "/scope":
            body = repr((scope["scheme"], scope["client"], scope["extensions"].get("tls"))).encode()
        case "/upload":
            digest, more = hashlib.sha256(), True
            while more:
                message = await receive()
                digest.update(message["body"])
                more = message["more_body"]
            body = digest.hexdigest().encode()
        case "/file":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            path = scope["query_string"].decode()
            await send({"type": "http.response.pathsend", "path": path})
            return
        case "/large":
            body = Path(scope["query_string"].decode()).read_bytes()
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def websocket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope["scheme"] + " " + str(sorted(scope["extensions"]))})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    names = ("wsgi.url_scheme", "HTTPS", "SSL_PROTOCOL", "SSL_TLS_SNI", "SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN")
    return [repr(tuple(environ.get(name) for name in names)).encode()]


async def echo(reader: StreamReader, writer: StreamWriter) -> None:
    """Echo; some lines ask for something else."""
    while line := await reader.readline():
        match line:
            case b"cipher\n":
                writer.write(repr(writer.get_extra_info("cipher")).encode() + b"\n")
            case b"tls\n":
                writer.write(repr(writer.get_extra_info("tls")).encode() + b"\n")
            case b"names\n":
                writer.write(repr((writer.get_extra_info("peername"), writer.get_extra_info("sockname"))).encode() + b"\n")
            case b"starttls\n":
                writer.write(b"go on\n")
                await writer.drain()
                try:
                    await writer.start_tls(None)  # type: ignore[arg-type]
                except RuntimeError as error:
                    writer.write(str(error).encode() + b"\n")
            case b"abort\n":
                writer.transport.abort()
            case _:
                writer.write(line)
        await writer.drain()
    writer.write(b"the end\n")


async def pushes(reader: StreamReader, writer: StreamWriter) -> None:
    """Answer a number with so many bytes."""
    while line := await reader.readline():
        writer.write(bytes(int(line)))
        await writer.drain()


async def says(reader: StreamReader, writer: StreamWriter) -> None:
    """Begin TLS, and say what becomes of it."""
    writer.write(b"go on\n")
    try:
        await writer.start_tls(None)  # type: ignore[arg-type]
    except ConnectionResetError as error:
        print(f"no TLS: {error}", flush=True)
        raise


async def asgi(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await send({"type": "tcp.send", "data": repr(scope["extensions"]).encode()})


class Mail:
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        print(f"mail {session.ssl is not None} {session.host_name} {envelope.mail_from} {session.authenticated}", flush=True)
        return "250 OK"

    def auth_callback(self, mechanism: str, login: bytes, password: bytes) -> bool:
        return (login, password) == (b"joe", b"secret")


class Hooked(Mail):
    def handle_STARTTLS(self, server: Any, session: Any, envelope: Any) -> bool:
        print(f"begun {session.ssl['tls_version']} {session.host_name} {envelope.mail_from}", flush=True)
        return bool(session.ssl["client_cert_name"])
