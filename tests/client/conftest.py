"""An origin, and a client of httpx over each of the two transports."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import origin as origins
import pytest

import awaitd


class Async:
    """An AsyncClient with the methods of a Client."""

    def __init__(self, transport: dict[str, Any], **settings: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(transport=awaitd.AsyncTransport(**transport), **settings)

    def request(self, method: str, url: str, **keywords: Any) -> httpx.Response:
        content = keywords.get("content")
        if content is not None and not isinstance(content, bytes | str):

            async def pieces() -> Any:
                for piece in content:
                    yield piece

            keywords["content"] = pieces()
        return self._runner.run(self._client.request(method, url, **keywords))

    def get(self, url: str, **keywords: Any) -> httpx.Response:
        return self.request("GET", url, **keywords)

    def post(self, url: str, **keywords: Any) -> httpx.Response:
        return self.request("POST", url, **keywords)

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


def make(kind: str, transport: dict[str, Any], **settings: Any) -> Any:
    return (
        Async(transport, **settings) if kind == "async" else httpx.Client(transport=awaitd.Transport(**transport), **settings)
    )


@pytest.fixture(params=["async", "sync"])
def client_of(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes a client whose transport has these settings."""
    made: list[Any] = []

    def client(settings: dict[str, Any] | None = None, **keywords: Any) -> Any:
        made.append(make(request.param, settings or {}, **{"timeout": 5, **keywords}))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def client(client_of: Any) -> Any:
    return client_of()


@pytest.fixture(scope="session")
def origin() -> Iterator[origins.Origin]:
    handlers = {**origins.HANDLERS, **{f"/bad/{name}": handler for name, (handler, _) in origins.BAD.items()}}
    with origins.serve(handlers) as made:
        yield made
