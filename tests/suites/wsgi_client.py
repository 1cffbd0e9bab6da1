"""A WSGI application of this process called through the server, an item at a time: for test clients that run one themselves.

The test has an environ. It is sent as an HTTP request; the application runs in the test's thread, but with the environ that the
server made of it, and with the server's input, `start_response`, `write` and `file_wrapper`. It is asked for its next item when
the test asks for it, and the test gets that item as it came over the socket: so the server must send each at once. The server
closes the application's iterable. What a proxy would say (scheme, server's name and port, client's address, script name) stays
as the test has it.
"""

from __future__ import annotations

import http.client
import io
import itertools
import os
import select
import socket
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from wsgiref.util import setup_testing_defaults

from live import Live
from wire import SERVERS_OWN, Answer, Environ, Way, write
from wsgi_side import Exchange, FileWrapper, Input, closing

Application = Callable[..., Iterable[bytes]]

ASKED = ("REMOTE_ADDR", "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "wsgi.errors", "wsgi.url_scheme")
BODILESS = (204, 304)
POLL = 50  # milliseconds between looks whether the server has answered by itself
STREAMS = (io.BytesIO, io.BufferedReader, io.BufferedRandom, tempfile.SpooledTemporaryFile)  # bodies that can be sent


class Exchanges:
    """One exchange after another, or one within another, of this process with the bridge."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._numbers = itertools.count(1)
        self._senders = ThreadPoolExecutor(4)
        self._listeners: dict[str, socket.socket] = {}
        self.submit = self._senders.submit

    def number(self) -> str:
        """Of an exchange that the bridge may ask for from now on."""
        number = str(next(self._numbers))
        self._listeners[number] = listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{self._live.socket}.{number}")
        listener.listen()
        return number

    def accept(self, number: str, sending: Future[Answer]) -> Exchange:
        """The bridge's connection; an error if the server has answered without it."""
        with self._listeners.pop(number) as listener:
            poll = select.poll()
            poll.register(listener, select.POLLIN)
            while not poll.poll(POLL):
                if sending.done():
                    response, body = sending.result()
                    raise AssertionError(f"answered by the server itself: {response.status} {body!r}")
            connection, _ = listener.accept()
        os.unlink(f"{self._live.socket}.{number}")
        return Exchange(connection)


class Client:
    """Calls applications through the server."""

    def __init__(self, way: Way | None = None) -> None:
        self.way = way or Way(Live("wsgi"))
        self.exchanges = Exchanges(self.way.live)
        self._open: weakref.WeakSet[Response] = weakref.WeakSet()
        # Sockets in use: in a cycle of garbage with their response they could be finalized before it has closed them.
        self.held: set[object] = set()

    def call(self, application: Application, environ: Environ) -> Response:
        """Calls an application until there is a head, and something of a body."""
        defaults: Environ = {}
        setup_testing_defaults(defaults)
        del defaults["HTTP_HOST"]
        defaults["SERVER_PROTOCOL"] = "HTTP/1.1"
        response = Response(self, defaults | environ)
        self._open.add(response)
        response.begin(application)
        return response

    def served(self, environ: Environ) -> Environ:
        """The environ that the server makes of a test's, for tests that call no application. The body is read already."""
        served: Environ = {}

        def application(its: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            served.update(its)
            if isinstance(its["wsgi.input"], Input):
                served["wsgi.input"] = io.BytesIO(its["wsgi.input"].read())
            del served["wsgi.file_wrapper"]
            start_response("204 No Content", [])
            return []

        list(self.call(application, environ))
        return served

    def end(self) -> None:
        """Ends what a test has left open."""
        for response in list(self._open):
            response.close()


class Response:
    """One exchange: its status and fields, and as an iterable the items of its body. All as they have arrived."""

    def __init__(self, client: Client, environ: Environ) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self._way, self._submit, self._held = client.way, client.exchanges.submit, client.held
        self._environ = environ
        self._sent: list[tuple[str, str]] = []
        self._due = b""  # what the application has sent, and the test has not got
        self._whole = b""  # of a file, what has arrived
        self._began = False
        self._open = False  # has the application more to send?
        body = payload(environ)
        number = client.exchanges.number()
        self._connection: http.client.HTTPConnection | None = self._way.connect()
        self._held.add(self._connection)
        self._answering = self._submit(self._ask, body, number)
        self._exchange = client.exchanges.accept(number, self._answering)
        self._held.add(self._exchange)
        self._rewind = len(body)

    def _ask(self, body: bytes, number: str) -> Answer:
        assert self._connection
        write(self._connection, self._environ, body, number)
        return self._connection.getresponse(), b""

    def begin(self, application: Application) -> None:
        """Calls the application, and waits for the head."""
        own = {key: value for key, value in self._environ.items() if not key.startswith(("HTTP_", "CONTENT_", "wsgi."))}
        environ = own | self._exchange.environ | {key: self._environ[key] for key in ASKED if key in self._environ}
        if not isinstance(self._environ["wsgi.input"], STREAMS):
            environ["wsgi.input"] = self._environ["wsgi.input"]
        self._items: Iterable[bytes] = ()
        self._open = True
        with self._telling():
            self._items = application(environ, self._start_response)
            if isinstance(self._items, FileWrapper):
                self._send_file(self._items)
            else:
                self._exchange.tell("iterate")
                self._left = iter(self._items)
                while self._open and not self._due:
                    self._pull()
        if self._rewind and not self._exchange.input.asked:
            self._environ["wsgi.input"].seek(-self._rewind, os.SEEK_CUR)  # where it is redirected to it may be read
        self._take_head()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._whole:
            whole, self._whole = self._whole, b""
            return whole
        while True:
            due, self._due = self._due, b""
            if due and self._bodied:
                arrived = self._answer.read(len(due))
                assert arrived == due, f"sent {due[:200]!r}, arrived {arrived[:200]!r}"
                return due
            if not self._open:
                self._end()
                raise StopIteration
            with self._telling():
                self._pull()

    def close(self) -> None:
        """Ends it where the test has read enough."""
        if self._open:
            self._finish(None)
        self._hang_up()

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        write = self._exchange.start_response(status, headers, exc_info)
        self._sent = headers.copy()

        def write_what_is_due(data: bytes) -> None:
            write(data)
            self._give(data)

        return write_what_is_due

    def _pull(self) -> None:
        """Sends the application's next item, or its end."""
        for item in self._left:
            self._exchange.tell("item", item)
            self._give(item)
            return
        self._finish(None)

    def _give(self, data: bytes) -> None:
        self._due += data
        self._began |= bool(data)

    def _send_file(self, wrapper: FileWrapper) -> None:
        reading = self._submit(lambda: self._answering.result()[0].read())
        self._began = True
        self._exchange.send_file(wrapper)
        self._open = False
        self._exchange.closed(closing(wrapper))
        self._let_go()
        self._whole = reading.result()

    def _take_head(self) -> None:
        self._answer, _ = self._answering.result()
        self.status = f"{self._answer.status} {self._answer.reason}"
        self._bodied = self._environ["REQUEST_METHOD"] != "HEAD" and self._answer.status not in BODILESS
        sent = Counter((name.lower(), value) for name, value in self._sent)
        got = Counter((name.lower(), value) for name, value in self._answer.getheaders())
        lost = {pair for pair in sent - got if pair[0] not in SERVERS_OWN}
        added = {pair for pair in got - sent if pair[0] not in SERVERS_OWN}
        assert not lost, f"lost on the way: {lost}"
        assert not added, f"came from nowhere: {added}"
        own = {name.lower() for name, _ in self._sent}
        self.headers = [(n, v) for n, v in self._answer.getheaders() if n.lower() not in SERVERS_OWN or n.lower() in own]

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tells the server what the application raises. The test is told by the exception itself."""
        try:
            yield
        except BaseException as error:
            if self._open:
                self._finish(error)
            with suppress(http.client.HTTPException, ConnectionError):  # cut off, if its head was on the way
                answer, _ = self._answering.result()
                if not self._began and answer.status != 500:
                    raise AssertionError(f"the server made {answer.status} of it") from error
            self._hang_up()
            raise

    def _finish(self, error: BaseException | None) -> None:
        self._open = False
        try:
            self._exchange.finish(error, closing(self._items))
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._exchange.close()
        self._held.discard(self._exchange)

    def _end(self) -> None:
        """After the last item: no more comes, and the connection can be used again."""
        rest = self._answer.read()
        assert not rest, f"came from nowhere: {rest[:200]!r}"
        if self._connection and self._environ["SERVER_PROTOCOL"] == "HTTP/1.1":
            self._way.give_back(self._connection)
            self._held.discard(self._connection)
            self._connection = None
        self._hang_up()

    def _hang_up(self) -> None:
        if self._connection:
            with suppress(http.client.HTTPException, OSError):  # cut off, if its head was on the way
                self._answering.result()[0].close()
            self._connection.close()
            self._held.discard(self._connection)
            self._connection = None


def payload(environ: Environ) -> bytes:
    """The body, which the application is to read from the server; a stream of a test's own is left alone."""
    content = environ["wsgi.input"]
    return content.read() if isinstance(content, STREAMS) else b""
