"""A Tornado application with a handler for each promise. What happens to it is a line on standard error, `NAME: what`."""

import asyncio
import hashlib
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

from tornado import gen, web
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.iostream import StreamClosedError
from tornado.routing import AnyMatches, PathMatches, Rule, RuleRouter
from tornado.websocket import WebSocketClosedError, WebSocketHandler
from tornado.wsgi import WSGIContainer

HERE = Path(__file__).parent
WITHIN = 20  # seconds; a gate that is never opened is an error, not a hang
PIECE = bytes(1 << 16)
PIECES = 512

gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
count: dict[str, int] = defaultdict(int)


def say(text: object) -> None:
    print(text, file=sys.stderr, flush=True)


async def opened(name: str) -> None:
    async with asyncio.timeout(WITHIN):
        await gates[name].wait()


class Request(web.RequestHandler):
    """What the application sees of a request."""

    def get(self) -> None:
        r = self.request
        self.write(
            {
                "method": r.method,
                "uri": r.uri,
                "path": r.path,
                "query": r.query,
                "version": r.version,
                "protocol": r.protocol,
                "host": r.host,
                "remote_ip": r.remote_ip,
                "context": str(r.connection.context),
                "cookies": {name: morsel.value for name, morsel in r.cookies.items()},
                "x": r.headers.get_list("X"),
                "certificate": r.get_ssl_certificate(),
                "current": IOLoop.current().asyncio_loop is asyncio.get_running_loop(),
            }
        )

    head = get

    def post(self) -> None:
        files = {name: [(f.filename, len(f.body)) for f in found] for name, found in self.request.files.items()}
        arguments = {name: self.get_arguments(name) for name in self.request.arguments}
        digest = hashlib.sha256(self.request.body).hexdigest()
        self.write({"arguments": arguments, "files": files, "sha256": digest})


class Status(web.RequestHandler):
    def get(self) -> None:
        self.set_status(int(self.get_argument("code")), self.get_argument("reason", None))
        for value in self.get_arguments("cookie"):
            self.set_cookie("c", value)
        self.add_header("X-Twice", "one")
        self.add_header("X-Twice", "two")


class Coroutine(web.RequestHandler):
    """A generator coroutine, with what it may yield."""

    @gen.coroutine
    def get(self) -> Any:
        yield gen.moment
        first, second = yield [gen.maybe_future(1), IOLoop.current().run_in_executor(None, threading.get_ident)]
        third = yield {"x": asyncio.sleep(0, "slept")}
        ran = asyncio.Event()
        IOLoop.current().spawn_callback(ran.set)
        yield ran.wait()
        self.write({"first": first, "other_thread": second != threading.get_ident(), "third": third})


class Stream(web.RequestHandler):
    """Two lines; the last when its gate opens."""

    async def get(self, gate: str) -> None:
        self.write("first\n")
        await self.flush()
        await opened(gate)
        self.write("last\n")


class Gate(web.RequestHandler):
    def post(self, gate: str) -> None:
        gates[gate].set()


class Count(web.RequestHandler):
    def get(self, name: str) -> None:
        self.write(str(count[name]))


class Pour(web.RequestHandler):
    """More than fits anywhere, as fast as it is taken."""

    async def get(self, name: str) -> None:
        self.set_header("Content-Length", len(PIECE) * PIECES)
        try:
            for _ in range(PIECES):
                self.write(PIECE)
                await self.flush()
                count[name] += 1
        except StreamClosedError:
            say(f"{name}: closed")
            raise


class AtOnce(web.RequestHandler):
    """The same, and nobody waits for it."""

    def get(self) -> None:
        for _ in range(PIECES // 16):
            self.write(PIECE)
            self.flush()


@web.stream_request_body
class Upload(web.RequestHandler):
    """Takes a body piece by piece, each when the gate is open."""

    async def prepare(self) -> None:
        self.name = self.path_args[0]
        self.digest = hashlib.sha256()
        if limit := self.get_argument("limit", ""):
            self.request.connection.set_max_body_size(int(limit))
        if self.get_argument("refuse", ""):
            self.set_status(401)
            self.finish("no")
        await asyncio.sleep(0)

    async def data_received(self, chunk: bytes) -> None:
        count[self.name] += len(chunk)
        self.digest.update(chunk)
        await opened(self.name)

    def put(self, name: str) -> None:
        self.write(self.digest.hexdigest())

    def on_connection_close(self) -> None:
        super().on_connection_close()
        say(f"{self.name}: the client left its upload")


class Wait(web.RequestHandler):
    """Waits for its gate, and says so; hears of a client that leaves."""

    async def get(self, name: str) -> None:
        self.name = name
        say(f"{name}: waits")
        await opened(name)
        self.write("waited")

    def on_connection_close(self) -> None:
        say(f"{self.name}: connection closed")
        gates[self.name].set()

    def on_finish(self) -> None:
        say(f"{self.name}: finished")


class Length(web.RequestHandler):
    """Promises a length."""

    async def get(self) -> None:
        self.set_header("Content-Length", self.get_argument("promised"))
        self.write("x" * int(self.get_argument("sent")))
        if self.get_argument("flush", ""):
            await self.flush()


class Cut(web.RequestHandler):
    """Closes its connection."""

    def get(self) -> None:
        self.request.connection.stream.close()
        self.write("nobody reads this")


class Detach(web.RequestHandler):
    def get(self) -> None:
        self.detach()


class Form(web.RequestHandler):
    def check_xsrf_cookie(self) -> None:
        super().check_xsrf_cookie()

    def get(self) -> None:
        self.write(self.xsrf_token)

    def post(self) -> None:
        self.write("posted")


class Echo(WebSocketHandler):
    """Echoes, and says what it hears."""

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return "chat" if "chat" in subprotocols else None

    async def prepare(self) -> None:
        await asyncio.sleep(0)
        self.set_header("X-Prepared", "yes")

    async def open(self, name: str) -> None:
        self.name = name
        await asyncio.sleep(0)
        if name == "greets":
            await self.write_message({"hello": self.selected_subprotocol})
        if name == "fails":
            raise RuntimeError("in open")

    async def on_message(self, message: str | bytes) -> None:
        match message:
            case "close":
                self.close(4001, "enough")
            case "close without a code":
                self.close()
            case "fail":
                raise RuntimeError("in on_message")
            case "ping":
                self.ping(b"data")
            case "abort":
                self.on_connection_close()
            case "hold":
                count[self.name] += 1
                await opened(self.name)
            case _:
                await self.write_message(message, binary=isinstance(message, bytes))

    def on_pong(self, data: bytes) -> None:
        self.write_message(b"pong " + data, binary=True)

    def on_ping(self, data: bytes) -> None:
        self.write_message(b"ping " + data, binary=True)

    def on_close(self) -> None:
        say(f"{self.name}: on_close {self.close_code} {self.close_reason!r}")
        try:
            self.write_message("too late")
        except WebSocketClosedError:
            say(f"{self.name}: can't be written to")


class Slow(WebSocketHandler):
    """Is not accepted before its gate opens."""

    async def prepare(self) -> None:
        self.name = self.path_args[0]
        say(f"{self.name}: prepares")
        await opened(self.name)

    def on_close(self) -> None:
        say(f"{self.name}: closed before it was open")


class Flood(WebSocketHandler):
    """Writes more than fits anywhere, as fast as it is taken."""

    async def open(self, name: str) -> None:
        IOLoop.current().spawn_callback(self.pour, name)

    async def pour(self, name: str) -> None:
        for _ in range(PIECES):
            await self.write_message(PIECE, binary=True)
            count[name] += 1


class Limited(Echo):
    @property
    def max_message_size(self) -> int:
        return 1000


class Pinging(WebSocketHandler):
    ping_interval = 0.2

    def on_pong(self, data: bytes) -> None:
        self.write_message("alive")


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 Fine", [("Content-Type", "text/plain")])
    return [environ["REQUEST_METHOD"].encode(), b" ", environ["wsgi.input"].read()]


app = web.Application(
    [
        (r"/request(?:/.*)?", Request),
        (r"/status", Status),
        (r"/coroutine", Coroutine),
        (r"/stream/(\w+)", Stream),
        (r"/gate/(\w+)", Gate),
        (r"/count/(\w+)", Count),
        (r"/pour/(\w+)", Pour),
        (r"/at-once", AtOnce),
        (r"/upload/(\w+)", Upload),
        (r"/wait/(\w+)", Wait),
        (r"/length", Length),
        (r"/cut", Cut),
        (r"/detach", Detach),
        (r"/form", Form),
        (r"/old", web.RedirectHandler, {"url": "/request"}),
        (r"/gone", web.ErrorHandler, {"status_code": 410}),
        (r"/echo/(\w+)", Echo),
        (r"/slow/(\w+)", Slow),
        (r"/flood/(\w+)", Flood),
        (r"/limited/(\w+)", Limited),
        (r"/pinging", Pinging),
        (r"/wsgi", web.FallbackHandler, {"fallback": WSGIContainer(wsgi)}),
    ],
    static_path=HERE / "static",
    xsrf_cookies=False,
    cookie_secret="of a test",
)

#: A router, which can't be called.
router = RuleRouter([Rule(PathMatches("/wsgi"), WSGIContainer(wsgi)), Rule(AnyMatches(), app)])


def make_app() -> web.Application:
    """A factory that needs the event loop it will run on: once it runs, and once it is only the current one."""
    ticks = asyncio.Queue[None]()
    PeriodicCallback(lambda: ticks.put_nowait(None), 1).start()

    class Ticks(web.RequestHandler):
        async def get(self) -> None:
            async with asyncio.timeout(WITHIN):
                await ticks.get()
            self.write(type(asyncio.get_running_loop()).__module__.partition(".")[0])

    return web.Application([("/", Ticks)], debug=True)


def make_running() -> web.Application:
    asyncio.get_running_loop()
    return make_app()


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """No Tornado application."""
