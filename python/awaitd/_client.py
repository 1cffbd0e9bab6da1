"""httpx's transports, and httpx2's: requests that the server, or a sidecar, sends."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import os
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from ._client_settings import describe
from ._outbound import VERSIONS, WINDOW, Exchange, Failure, LoopLink, Numbers, ThreadLink, Timeouts, loop_link, thread_link

if TYPE_CHECKING:
    import ssl

    import httpx
    from httpx import AsyncBaseTransport, BaseTransport
else:  # whichever of the two is used is found by its requests
    BaseTransport = AsyncBaseTransport = object

#: The arguments of ``Calls.open`` up to the headers and timeouts.
Opening: TypeAlias = "tuple[Exchange, int, bool, bytes, bytes, bytes, list[tuple[bytes, bytes]], Timeouts]"

NO_TIMEOUTS: dict[str, float | None] = {}
PORTS = {"http": 80, "https": 443}


class Flavor:
    """httpx or httpx2: its classes, and streams of ours that are its own."""

    def __init__(self, name: str) -> None:
        module = importlib.import_module(name)
        self.not_read = module.RequestNotRead
        self.consumed = module.StreamConsumed
        self.unsupported = module.UnsupportedProtocol
        self.module = module
        self.async_stream = type("ResponseStream", (AsyncBody, module.AsyncByteStream), {"__module__": "awaitd"})
        self.stream = type("ResponseStream", (Body, module.SyncByteStream), {"__module__": "awaitd"})
        self.response = type(RESPONSES[name], (Whole, module.Response), {"__module__": __name__})

    def error(self, failure: Failure) -> Exception:
        kind = "ReadError" if failure.kind == "Cancelled" else failure.kind
        error: Exception = getattr(self.module, kind)(str(failure))
        return error


_flavors: dict[type, Flavor] = {}


def flavor_of(request: object) -> Flavor:
    """The package that a request is of."""
    kind = type(request)
    found = _flavors.get(kind)
    if found is None:
        names = (base.__module__.partition(".")[0] for base in kind.__mro__)
        name = next((name for name in names if name in ("httpx", "httpx2")), None)
        if name is None:
            raise TypeError(f"a request of httpx or httpx2 is needed, not {kind.__name__}")
        found = _flavors[kind] = flavor_named(name)
    return found


@functools.cache
def flavor_named(name: str) -> Flavor:
    """The package with a name."""
    return Flavor(name)


#: What our kinds of responses are called, so that they can be pickled.
RESPONSES = {"httpx": "HttpxResponse", "httpx2": "Httpx2Response"}


def __getattr__(name: str) -> type:
    for package, response in RESPONSES.items():
        if name == response:
            return flavor_named(package).response
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Whole:
    """A response whose body, as small ones do, has come with its head: there is nothing to iterate over, nor to wait for."""

    async def aread(self: Any) -> bytes:
        x = self.__dict__.pop("_exchange", None)
        if x is None or not x.ended or x.failure is not None or self.is_stream_consumed or x.coded:
            content: bytes = await super().aread()  # type: ignore[misc]
            return content
        self._content = content = x.chunks.popleft() if len(x.chunks) == 1 else b"".join(x.chunks)
        x.chunks.clear()
        self._num_bytes_downloaded = len(content)
        self.is_stream_consumed = self.is_closed = True
        await self.stream.aclose()
        return content

    def read(self: Any) -> bytes:
        x = self.__dict__.pop("_exchange", None)
        if x is None or not x.ended or x.failure is not None or self.is_stream_consumed or x.coded:
            content: bytes = super().read()  # type: ignore[misc]
            return content
        self._content = content = x.chunks.popleft() if len(x.chunks) == 1 else b"".join(x.chunks)
        x.chunks.clear()
        self._num_bytes_downloaded = len(content)
        self.is_stream_consumed = self.is_closed = True
        self.stream.close()
        return content

    def __getstate__(self: Any) -> dict[str, Any]:
        self.__dict__.pop("_exchange", None)
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return state


class AsyncBody:
    """The body of a response, as an event loop reads it."""

    __slots__ = ("exchange", "flavor")

    def __init__(self, exchange: Exchange, flavor: Flavor) -> None:
        self.exchange = exchange
        self.flavor = flavor

    async def __aiter__(self) -> AsyncIterator[bytes]:
        x = self.exchange
        link = x.link
        assert isinstance(link, LoopLink)
        while True:
            while x.chunks:
                chunk = x.chunks.popleft()
                x.taken(len(chunk))
                yield chunk
            if x.failure is not None:
                raise self.flavor.error(x.failure)
            if x.ended:
                return
            await link.news(x)

    async def aclose(self) -> None:
        self.exchange.cancel()


class Body:
    """The body of a response, as a thread reads it."""

    __slots__ = ("exchange", "flavor")

    def __init__(self, exchange: Exchange, flavor: Flavor) -> None:
        self.exchange = exchange
        self.flavor = flavor

    def __iter__(self) -> Iterator[bytes]:
        x = self.exchange
        link = x.link
        assert isinstance(link, ThreadLink)
        while True:
            while x.chunks:
                chunk = x.chunks.popleft()
                x.taken(len(chunk))
                yield chunk
            if x.failure is not None:
                raise self.flavor.error(x.failure)
            if x.ended:
                return
            link.news(x)

    def close(self) -> None:
        self.exchange.cancel()


def opening(exchange: Exchange, numbers: Numbers, flavor: Flavor, request: httpx.Request) -> Opening:
    """The arguments of ``Calls.open``, without body, end and credit."""
    url, extensions = request.url, request.extensions
    scheme = url.scheme
    port = url.port or PORTS.get(scheme)
    host = url.raw_host
    if port is None or not host:
        what = f"an unsupported protocol '{scheme}://'" if port is None else "no host"
        raise flavor.unsupported(f"Request URL has {what}.")
    t = extensions.get("timeout", NO_TIMEOUTS)
    authority = b"[%b]:%d" % (host, port) if b":" in host else b"%b:%d" % (host, port)
    return (
        exchange, numbers.of(exchange.link.session), scheme == "https", request.method.encode("ascii"), authority,
        extensions.get("target", url.raw_path), request.headers.raw,
        (t.get("connect"), t.get("read"), t.get("write"), t.get("pool")),
    )  # fmt: skip


def answer(exchange: Exchange, flavor: Flavor, stream: type) -> Any:
    """The response, whose head has come."""
    if exchange.failure is not None and not exchange.status:
        raise flavor.error(exchange.failure)
    extensions = {"http_version": VERSIONS[exchange.version]}
    if exchange.phrase:
        extensions["reason_phrase"] = exchange.phrase
    response = flavor.response(
        status_code=exchange.status, headers=exchange.headers, stream=stream(exchange, flavor), extensions=extensions
    )
    response._exchange = exchange
    return response


@contextlib.contextmanager
def translated(flavor: Flavor) -> Iterator[None]:
    """What can't be sent, and a process that can't be reached, in httpx's words."""
    try:
        yield
    except Failure as failure:
        raise flavor.error(failure) from None
    except ValueError as error:
        raise flavor.error(Failure("LocalProtocolError", str(error))) from None
    except ConnectionError as error:
        raise flavor.error(Failure("ConnectError", str(error))) from None


class _Settings:
    def __init__(
        self,
        verify: ssl.SSLContext | str | bool = True,
        cert: str | tuple[str, str] | tuple[str, str, str] | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: httpx.Limits | None = None,
        proxy: httpx.Proxy | httpx.URL | str | None = None,
        uds: str | os.PathLike[str] | None = None,
        local_address: str | None = None,
        retries: int = 0,
        *,
        deny: str | None = None,
    ) -> None:
        described = describe(
            verify=verify, cert=cert, trust_env=trust_env, http1=http1, http2=http2, limits=limits, proxy=proxy,
            uds=None if uds is None else os.path.abspath(uds), local_address=local_address, retries=retries, deny=deny,
        )  # fmt: skip
        self._numbers = Numbers(described)


class AsyncTransport(_Settings, AsyncBaseTransport):
    """Sends the requests of ``httpx.AsyncClient(transport=awaitd.AsyncTransport())``, and of httpx2's.

    The settings are those of ``httpx.AsyncHTTPTransport``, without ``socket_options``. ``trust_env``: proxies and authorities
    are found by the environment. ``limits``: of a pool that all transports with the same settings share, whichever worker they
    are in; without them 1,000 connections, 200 of them idle, for 5 s. ``deny="private"``: only public addresses are connected
    to.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises httpx's exceptions."""
        flavor = flavor_of(request)
        try:
            body: bytes | None = request.content
        except flavor.not_read:
            body = None
        try:
            loop = asyncio.get_running_loop()
            link = loop_link(loop)
            exchange = Exchange(link)
            arguments = opening(exchange, self._numbers, flavor, request)
            calls = link.calls
            first = body if body is not None else b""
            opened = calls.open(*arguments, first, body is not None, WINDOW)
            while opened is None:
                await link.room()
                opened = calls.open(*arguments, first, body is not None, WINDOW)
        except (Failure, ValueError, ConnectionError):
            with translated(flavor):
                raise
        exchange.id, taken = opened
        link.publish_soon(loop)
        try:
            if body is None:
                await self._send(exchange, request)
            elif taken < len(body):
                await self._feed(exchange, body, taken, True)
            while not exchange.status and not exchange.ended:
                exchange.waiter = waiter = loop.create_future()
                await waiter
        except BaseException:
            exchange.cancel()
            raise
        response: httpx.Response = answer(exchange, flavor, flavor.async_stream)
        return response

    async def _send(self, exchange: Exchange, request: httpx.Request) -> None:
        """Send a body that comes piece by piece, until the response has ended."""
        async for chunk in request.stream:  # type: ignore[union-attr]
            await self._feed(exchange, chunk, 0, False)
            if exchange.ended:
                return
        await self._feed(exchange, b"", 0, True)

    async def _feed(self, exchange: Exchange, body: bytes, offset: int, end: bool) -> None:
        link = exchange.link
        assert isinstance(link, LoopLink)
        while (offset < len(body) or end) and not exchange.ended:
            if exchange.credit == 0 and offset < len(body):
                await link.news(exchange)
                continue
            n = link.calls.data(exchange.id, body, offset, exchange.credit, end)
            if n < 0:
                await link.room()
                continue
            offset += n
            exchange.credit -= n
            if offset == len(body):
                return

    async def aclose(self) -> None:
        """Do nothing: idle connections end by themselves."""

    async def __aenter__(self) -> AsyncTransport:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()


class Transport(_Settings, BaseTransport):
    """Sends the requests of ``httpx.Client(transport=awaitd.Transport())``, and of httpx2's, from any thread.

    The settings are those of ``AsyncTransport``.
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises httpx's exceptions."""
        flavor = flavor_of(request)
        try:
            body: bytes | None = request.content
        except flavor.not_read:
            body = None
        with translated(flavor):
            link = thread_link()
            exchange = Exchange(link)
            arguments = opening(exchange, self._numbers, flavor, request)
            open_stream(link, exchange, arguments, body)
        try:
            if body is None:
                for chunk in request.stream:  # type: ignore[union-attr]
                    feed(exchange, chunk, 0, False)
                    if exchange.ended:
                        break
                feed(exchange, b"", 0, True)
            elif exchange.owed < len(body):
                offset, exchange.owed = exchange.owed, 0
                feed(exchange, body, offset, True)
            exchange.owed = 0
            while not exchange.status and not exchange.ended:
                link.news(exchange)
        except BaseException:
            exchange.cancel()
            raise
        response: httpx.Response = answer(exchange, flavor, flavor.stream)
        return response

    def close(self) -> None:
        """Do nothing: idle connections end by themselves."""

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


def open_stream(link: ThreadLink, exchange: Exchange, arguments: Opening, body: bytes | None) -> None:
    """Open an exchange; how much of body went with that is noted as owed."""
    first = body if body is not None else b""
    while (opened := link.calls.open(*arguments, first, body is not None, WINDOW)) is None:
        link.room()
    exchange.id, exchange.owed = opened
    link.calls.publish()


def feed(exchange: Exchange, body: bytes, offset: int, end: bool) -> None:
    """Send a part of a body, until the response has ended."""
    link = exchange.link
    assert isinstance(link, ThreadLink)
    while (offset < len(body) or end) and not exchange.ended:
        if exchange.credit == 0 and offset < len(body):
            link.news(exchange)
            continue
        n = link.calls.data(exchange.id, body, offset, exchange.credit, end)
        if n < 0:
            link.room()
            continue
        offset += n
        exchange.credit -= n
        if offset == len(body):
            return
