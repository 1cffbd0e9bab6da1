"""How the processes that serve the board tell each other to look at the database."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

LOOK_EVERY = 0.5  # seconds; how late what was posted through another worker may be seen when nobody tells
LOOK_ANYWAY = 10  # … and when somebody should
AGAIN_AFTER = 1  # seconds until a lost Redis is tried again

log = logging.getLogger("board.channel")


class Channel:
    """Nobody to tell: each process looks by itself, twice a second. It works with any number of workers, and can't be down."""

    look_every: float = LOOK_EVERY

    def __init__(self) -> None:
        self._listeners: dict[str, Callable[[], None]] = {}

    def listen(self, topic: str, listener: Callable[[], None]) -> None:
        self._listeners[topic] = listener

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def tell(self, topic: str) -> None:
        """Something is new, and in the database already."""
        self._listeners[topic]()


class RedisChannel(Channel):
    """Tells the processes on all machines that use this Redis, by publish and subscribe.

    Redis drops what is published while nobody listens, so it carries only the word that there is something new: the database
    says what. A lost word costs time and no message, and without Redis everybody looks for himself again.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        from redis.asyncio import Redis  # only who names a Redis needs it
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        self._redis = Redis.from_url(url, decode_responses=True, socket_connect_timeout=5, retry=Retry(NoBackoff(), 1))
        self._task: asyncio.Task[None] | None = None
        self._down = False  # and said so

    async def open(self) -> None:
        subscribed = asyncio.Event()
        self._task = asyncio.create_task(self._hear(subscribed.set), name="channel")
        with contextlib.suppress(TimeoutError):  # a Redis that is down does not keep the board from starting
            async with asyncio.timeout(AGAIN_AFTER):
                await subscribed.wait()

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._redis.aclose()

    async def tell(self, topic: str) -> None:
        await super().tell(topic)
        await self._trying(self._redis.publish(f"board:{topic}", ""))

    async def _hear(self, subscribed: Callable[[], None]) -> None:
        while True:
            await self._trying(self._subscribe(subscribed))
            self.look_every = LOOK_EVERY
            self._look_all()  # who waits for a word waits too long
            await asyncio.sleep(AGAIN_AFTER)

    async def _subscribe(self, subscribed: Callable[[], None]) -> None:
        async with self._redis.pubsub() as subscription:
            await subscription.subscribe(*(f"board:{topic}" for topic in self._listeners))
            async for word in subscription.listen():
                if word["type"] == "subscribe":  # also after a connection that was lost: look at what was missed meanwhile
                    self.look_every, self._down = LOOK_ANYWAY, False
                    subscribed()
                self._listeners[word["channel"].removeprefix("board:")]()

    def _look_all(self) -> None:
        for look in self._listeners.values():
            look()

    async def _trying(self, action: Awaitable[Any]) -> None:
        from redis.exceptions import RedisError

        try:
            await action
        except (OSError, RedisError) as error:
            if not self._down:
                log.warning("Redis does not answer, so new messages are looked for: %s", error)
            self._down = True


def channel(url: str) -> Channel:
    return RedisChannel(url) if url else Channel()
