"""One consumer for each WebSocket; those of a room are a group of the channel layer."""

import json
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

LONGEST = 1000  # characters of a message


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no type hints
    async def connect(self) -> None:
        self.group = f"chat.{self.scope['url_route']['kwargs']['room']}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """What this page's reader says is for the whole room."""
        try:
            message = json.loads(text_data or "")["message"]
        except (ValueError, TypeError, KeyError):
            await self.close(1003)
            return
        await self.channel_layer.group_send(self.group, {"type": "chat.message", "message": str(message)[:LONGEST]})

    async def chat_message(self, event: dict[str, Any]) -> None:
        """The room has heard something."""
        await self.send(text_data=json.dumps({"message": event["message"]}))
