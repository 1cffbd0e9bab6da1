"""requests' adapter: ``session.mount("https://", awaitd.RequestsAdapter())``."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.cookies import extract_cookies_to_jar
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError,
    ConnectTimeout,
    InvalidHeader,
    InvalidURL,
    ProxyError,
    ReadTimeout,
    SSLError,
)
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers, select_proxy
from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from ._client import PORTS, feed, open_stream
from ._client_settings import describe
from ._outbound import Exchange, Failure, Numbers, ThreadLink, thread_link

#: requests' exception for each kind of failure; ConnectionError for the others.
EXCEPTIONS: dict[str, type[requests.RequestException]] = {
    "ConnectTimeout": ConnectTimeout, "ReadTimeout": ReadTimeout, "WriteTimeout": ReadTimeout, "ProxyError": ProxyError,
    "LocalProtocolError": InvalidHeader, "UnsupportedProtocol": InvalidURL,
}  # fmt: skip

#: Settings that a session's requests may differ in are few; of more, the oldest are forgotten.
MOST_SETTINGS = 64


class RequestsAdapter(BaseAdapter):
    """Sends the requests of a ``requests.Session``, from any thread.

    ``verify``, ``cert``, ``proxies`` and ``timeout`` are the session's and the request's. ``max_retries`` is how often a connection that
    can't be made is tried again. ``deny="private"``: no address but public ones is connected to.
    """

    def __init__(self, max_retries: int = 0, *, http2: bool = False, deny: str | None = None) -> None:
        super().__init__()
        self._fixed = {"retries": max_retries, "http1": True, "http2": http2, "deny": deny}
        self._numbers: dict[Any, Numbers] = {}
        self._described(True, None, None)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request. Raises requests' exceptions."""
        assert request.url is not None and request.method is not None
        try:
            exchange = self._exchange(request, timeout, self._described(verify, cert, select_proxy(request.url, proxies)))
        except Failure as failure:
            raise _error(failure, request) from None
        except (ValueError, ConnectionRefusedError) as error:
            raise InvalidHeader(str(error), request=request) from None
        response = _response(self, request, exchange)
        if not stream:
            response.content  # noqa: B018 (reads it)
        return response

    def close(self) -> None:
        """Do nothing: idle connections end by themselves."""

    def _described(self, verify: bool | str, cert: Any, proxy: str | None) -> Numbers:
        key = (verify, tuple(cert) if isinstance(cert, list) else cert, proxy)
        found = self._numbers.get(key)
        if found is None:
            if isinstance(verify, str) and not os.path.exists(verify):
                raise OSError(f"Could not find a suitable TLS CA certificate bundle, invalid path: {verify}")
            described = describe(
                verify=verify, cert=cert, trust_env=False, limits=None, proxy=proxy, uds=None, local_address=None, **self._fixed
            )  # fmt: skip
            while len(self._numbers) >= MOST_SETTINGS:
                self._numbers.pop(next(iter(self._numbers)))
            found = self._numbers[key] = Numbers(lambda: described)
        return found

    def _exchange(self, request: requests.PreparedRequest, timeout: Any, numbers: Numbers) -> Exchange:
        """Send the request, and wait for the head of the response."""
        url = urlsplit(request.url or "")
        port = url.port or PORTS.get(url.scheme)
        if port is None or not url.hostname:
            raise InvalidURL(f"no host, or an unknown scheme: {request.url}", request=request)
        host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
        connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        body, pieces = _body(request)
        link = thread_link()
        exchange = Exchange(link)
        headers = [(_bytes(name), _bytes(value)) for name, value in request.headers.items()]
        if "host" not in request.headers:
            headers.insert(0, (b"Host", url.netloc.rpartition("@")[2].encode("latin-1")))
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        arguments = (
            exchange, numbers.of(link.session), url.scheme == "https", _bytes(request.method), f"{host}:{port}".encode("ascii"),
            target.encode("ascii", "replace"), headers, (connect, read, read, None),
        )  # fmt: skip
        open_stream(link, exchange, arguments, body)
        try:
            if body is None:
                for piece in pieces:
                    feed(exchange, _bytes(piece), 0, False)
                    if exchange.ended:
                        break
                feed(exchange, b"", 0, True)
            elif exchange.owed < len(body):
                feed(exchange, body, exchange.owed, True)
            exchange.owed = 0
            while not exchange.status and not exchange.ended:
                link.news(exchange)
        except BaseException:
            exchange.cancel()
            raise
        if exchange.failure is not None and not exchange.status:
            raise exchange.failure
        return exchange


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("utf-8" if not isinstance(text, str) else "latin-1")


def _body(request: requests.PreparedRequest) -> tuple[bytes | None, Iterable[Any]]:
    """The body as it is, or None and its pieces."""
    body: Any = request.body
    if body is None:
        return b"", ()
    if isinstance(body, str):
        return body.encode("utf-8"), ()
    if isinstance(body, bytes | bytearray):
        return bytes(body), ()
    if hasattr(body, "read"):
        return None, iter(lambda: body.read(1 << 16), b"")
    return None, body


def _error(failure: Failure, request: requests.PreparedRequest) -> requests.RequestException:
    kind = EXCEPTIONS.get(failure.kind, ConnectionError)
    if failure.kind == "ConnectError" and "certificate" in str(failure):
        kind = SSLError
    return kind(str(failure), request=request)


class _Raw(io.RawIOBase):
    """The body of a response, as a file."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        x = self._exchange
        link = x.link
        assert isinstance(link, ThreadLink)
        while not self._rest:
            if x.chunks:
                self._rest = x.chunks.popleft()
                x.taken(len(self._rest))
            elif x.failure is not None:
                if x.failure.kind == "ReadTimeout":
                    raise ReadTimeoutError(None, None, "Read timed out.")  # type: ignore[arg-type]
                raise ProtocolError(str(x.failure))
            elif x.ended:
                return 0
            else:
                link.news(x)
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n

    def close(self) -> None:
        self._exchange.cancel()
        super().close()


class _Original:
    """What requests takes cookies from."""

    def isclosed(self) -> bool:
        return True

    def close(self) -> None: ...

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        from email.message import Message

        self.msg = Message()
        for name, value in headers:
            self.msg[name] = value


def _response(adapter: RequestsAdapter, request: requests.PreparedRequest, exchange: Exchange) -> requests.Response:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in exchange.headers]
    raw = HTTPResponse(
        body=io.BufferedReader(_Raw(exchange)), headers=headers, status=exchange.status, version=exchange.version,
        reason=exchange.phrase.decode("latin-1"), preload_content=False, decode_content=False,
        original_response=None, request_method=request.method,
    )  # fmt: skip
    raw._original_response = _Original(headers)  # type: ignore[assignment]
    response = requests.Response()
    response.status_code = exchange.status
    response.headers = CaseInsensitiveDict(raw.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.raw = raw
    response.reason = raw.reason  # type: ignore[assignment]
    response.url = request.url  # type: ignore[assignment]
    extract_cookies_to_jar(response.cookies, request, raw)
    response.request = request
    response.connection = adapter  # type: ignore[attr-defined]
    return response


__all__ = ["ChunkedEncodingError", "RequestsAdapter"]
