"""Channels in front of Django: what waits, and what speaks first, is a consumer; the rest are Django's views."""

import json

from channels.generic.http import AsyncHttpConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.urls import path, re_path

from django_asgi import application as django_application
from django_asgi import gates


class Stream(AsyncHttpConsumer):
    async def handle(self, body: bytes) -> None:
        await self.send_headers(headers=[(b"Content-Type", b"text/plain")])
        await self.send_body(b"first\n", more_body=True)
        await gates.wait(self.scope["url_route"]["kwargs"]["key"])
        await self.send_body(b"last\n")


class ServerSentEvents(AsyncHttpConsumer):
    async def handle(self, body: bytes) -> None:
        await self.send_headers(headers=[(b"Cache-Control", b"no-cache"), (b"Content-Type", b"text/event-stream")])
        await self.send_body("event: greeting\ndata: Grüße\n\n".encode(), more_body=True)
        await gates.wait(self.scope["url_route"]["kwargs"]["key"])
        await self.send_body(b"event: end\ndata: bye\n\n")


class Me(AsyncHttpConsumer):
    async def handle(self, body: bytes) -> None:
        answer = {"user": self.scope["session"].get("user"), "theme": self.scope["cookies"].get("theme")}
        await self.send_response(200, json.dumps(answer).encode(), headers=[(b"Content-Type", b"application/json")])


class Talk(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        self.room = self.scope["url_route"]["kwargs"]["room"]
        if self.room == "secret":
            await self.close()
        else:
            await self.accept("two" if "two" in self.scope["subprotocols"] else None)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data is None:
            await self.send(bytes_data=(bytes_data or b"")[::-1])
        elif text_data == "bye":
            await self.close(4001, "as you wish")
        else:
            await self.send(f"{self.room}: {text_data}")


application = ProtocolTypeRouter(
    {
        "http": SessionMiddlewareStack(
            URLRouter(
                [
                    path("stream/<key>", Stream.as_asgi()),
                    path("events/<key>", ServerSentEvents.as_asgi()),
                    path("me", Me.as_asgi()),
                    re_path("", django_application),
                ]
            )
        ),
        "websocket": URLRouter([path("ws/<room>", Talk.as_asgi())]),
    }
)
