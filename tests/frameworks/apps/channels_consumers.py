"""Channels' generic consumers, each under its name."""

import sys
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer, WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

from django_asgi import application as django_application

settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


class Echo(WebsocketConsumer):
    """In a thread."""

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.send(text_data, bytes_data)

    def disconnect(self, code: int) -> None:
        print(f"left: {code}", file=sys.stderr, flush=True)


class Sum(JsonWebsocketConsumer):
    def receive_json(self, content: list[int], **_: Any) -> None:
        self.send_json({"sum": sum(content)})


class Room(AsyncJsonWebsocketConsumer):
    groups = ("everyone",)

    async def receive_json(self, content: Any, **_: Any) -> None:
        await self.channel_layer.group_send("everyone", {"type": "said", "content": content})

    async def said(self, event: dict[str, Any]) -> None:
        await self.send_json(event["content"])


class Chosen(WebsocketConsumer):
    def connect(self) -> None:
        self.accept("b")

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.close(4001, "as you wish")


class Refuses(WebsocketConsumer):
    def connect(self) -> None:
        self.close()


consumers = (Echo, Sum, Room, Chosen, Refuses)
application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": URLRouter([path(consumer.__name__.lower(), consumer.as_asgi()) for consumer in consumers]),
    }
)
