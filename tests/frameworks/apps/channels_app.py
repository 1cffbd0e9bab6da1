"""Channels in front of Django: what waits, and what speaks first, is a consumer; the rest are Django's views."""

import json

from channels.generic.http import AsyncHttpConsumer
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
        )
    }
)
