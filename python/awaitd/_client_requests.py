"""requests' adapter: ``session.mount("https://", awaitd.RequestsAdapter())``."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.cookies import extract_cookies_to_jar
from requests.exceptions import (
    ConnectionError,
    ConnectTimeout,
    InvalidHeader,
    InvalidProxyURL,
    InvalidSchema,
    InvalidURL,
    ProxyError,
    ReadTimeout,
    SSLError,
)
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers, prepend_scheme_if_needed, select_proxy
from urllib3 import HTTPHeaderDict, HTTPResponse, Timeout
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

    ``verify``, ``cert``, ``proxies`` and ``timeout`` are the session's and the request's. ``max_retries`` is how often a
    connection that can't be made is tried again. ``deny="private"``: only public addresses are connected to.
    """

    def __init__(self, max_retries: int = 0, *, http2: bool = False, deny: str | None = None) -> None:
        super().__init__()
        self._fixed: dict[str, Any] = {"retries": max_retries, "http1": True, "http2": http2, "deny": deny}
        self._numbers: dict[Any, Numbers] = {}
        self._described(True, None, None)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        """Send a request. Raises requests' exceptions."""
        assert request.url is not None
        if not request.url.lower().startswith("https:"):
            verify, cert = True, None
        proxy = _proxy(select_proxy(request.url, proxies))
        if proxy is not None and proxy.startswith("socks4"):
            raise InvalidSchema("SOCKS 4 is not spoken: use socks5h://", request=request)
        numbers, times = self._described(verify, cert, proxy), _timeouts(timeout)
        try:
            exchange = self._exchange(request, times, numbers)
        except Failure as failure:
            raise _error(failure, request, proxy) from None
        except requests.RequestException:
            raise
        except ValueError as error:
            raise InvalidHeader(str(error), request=request) from None
        except OSError as error:
            raise ConnectionError(str(error), request=request) from None
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
            _check_files(verify, cert)
            described = describe(
                verify=verify, cert=cert, trust_env=False, limits=None, proxy=proxy, uds=None, local_address=None, **self._fixed
            )  # fmt: skip
            while len(self._numbers) >= MOST_SETTINGS:
                self._numbers.pop(next(iter(self._numbers)))
            found = self._numbers[key] = Numbers(described)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"fixed": self._fixed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._fixed, self._numbers = state["fixed"], {}

    def _exchange(
        self, request: requests.PreparedRequest, times: tuple[float | None, float | None], numbers: Numbers
    ) -> Exchange:
        """Send the request, and wait for the head of the response."""
        url = urlsplit(request.url or "")
        port = url.port or PORTS.get(url.scheme)
        if port is None or not url.hostname:
            raise InvalidURL(f"no host, or an unknown scheme: {request.url}", request=request)
        host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
        connect, read = times
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


def _check_files(verify: bool | str, cert: Any) -> None:
    """Raise OSError, as requests does, for files that are not there."""
    if isinstance(verify, str) and not os.path.exists(verify):
        raise OSError(f"Could not find a suitable TLS CA certificate bundle, invalid path: {verify}")
    for file, what in zip((cert,) if isinstance(cert, str) else cert or (), ("certificate", "key"), strict=False):
        if not os.path.exists(file):
            raise OSError(f"Could not find the TLS {what} file, invalid path: {file}")


def _proxy(url: str | None) -> str | None:
    """The proxy with a scheme. Raises ``InvalidProxyURL``."""
    if not url:
        return None
    url = prepend_scheme_if_needed(url, "http")
    if not urlsplit(url).hostname:
        raise InvalidProxyURL("Please check proxy URL. It is malformed and could be missing the host.")
    return url


def _timeouts(timeout: Any) -> tuple[float | None, float | None]:
    """Seconds to connect and to read; a number, a pair of them, or urllib3's Timeout. Raises ValueError."""
    if isinstance(timeout, tuple):
        try:
            connect, read = timeout
        except ValueError:
            raise ValueError(
                f"Invalid timeout {timeout}. Pass a (connect, read) timeout tuple, or a single float to set both timeouts to "
                "the same value."
            ) from None
        timeout = Timeout(connect=connect, read=read)
    elif not isinstance(timeout, Timeout):
        timeout = Timeout(connect=timeout, read=timeout)
    seconds = [
        None if value in (None, Timeout.DEFAULT_TIMEOUT) else value for value in (timeout.connect_timeout, timeout._read)
    ]
    if timeout.total is not None:
        seconds = [timeout.total if value is None else min(value, timeout.total) for value in seconds]
    return seconds[0], seconds[1]


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


def _error(failure: Failure, request: requests.PreparedRequest, proxy: str | None) -> requests.RequestException:
    kind = EXCEPTIONS.get(failure.kind, ConnectionError)
    if failure.kind == "ConnectError" and proxy is not None:
        kind = ProxyError
    if failure.kind == "RemoteProtocolError" and "content-length" in str(failure):
        kind = InvalidHeader
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
        body=io.BufferedReader(_Raw(exchange)), headers=HTTPHeaderDict(headers), status=exchange.status,
        version=exchange.version,
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
    response.connection = adapter  # type: ignore[assignment]
    return response
