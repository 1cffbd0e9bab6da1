import hashlib
import json
import os

from tornado.ioloop import IOLoop
from tornado.web import Application, HTTPError, RequestHandler, StaticFileHandler, url
from tornado.websocket import WebSocketHandler

from gate import AsyncGates

gates = AsyncGates()
done: set[str] = set()


class Hello(RequestHandler):
    def get(self, name: str) -> None:
        self.write(f"Hello, {name}!")


class Square(RequestHandler):
    def get(self, number: str) -> None:
        self.write(str(int(number) ** 2))


class Search(RequestHandler):
    def get(self) -> None:
        self.write({"q": self.get_query_argument("q"), "tags": self.get_query_arguments("tag")})


class Form(RequestHandler):
    def post(self) -> None:
        self.write({name: self.get_body_argument(name, strip=False) for name in self.request.body_arguments})


class Upload(RequestHandler):
    def post(self) -> None:
        file = self.request.files["file"][0]
        digest = hashlib.sha256(file.body).hexdigest()
        note = self.get_body_argument("note")
        self.write({"name": file.filename, "size": len(file.body), "sha256": digest, "note": note})


class Echo(RequestHandler):
    def post(self) -> None:
        self.write({"got": json.loads(self.request.body)})


class Login(RequestHandler):
    def post(self) -> None:
        self.set_signed_cookie("user", self.get_body_argument("user"))
        self.set_cookie("theme", "dark")
        self.set_status(204)


class Me(RequestHandler):
    def get(self) -> None:
        user = self.get_signed_cookie("user")
        self.write({"user": user.decode() if user else None, "theme": self.get_cookie("theme")})


class Old(RequestHandler):
    def get(self) -> None:
        self.redirect(f"{self.request.protocol}://{self.request.host}{self.reverse_url('hello', 'world')}")


class Stream(RequestHandler):
    async def get(self, key: str) -> None:
        self.set_header("Content-Type", "text/plain")
        self.write("first\n")
        await self.flush()
        await gates.wait(key)
        self.write("last\n")


class Events(RequestHandler):
    async def get(self, key: str) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.write("event: greeting\ndata: Grüße\n\n")
        await self.flush()
        await gates.wait(key)
        self.write("event: end\ndata: bye\n\n")


class Open(RequestHandler):
    def post(self, key: str) -> None:
        gates.open(key)
        self.set_status(204)


class Work(RequestHandler):
    def post(self, key: str) -> None:
        async def work() -> None:
            await gates.wait(key)
            done.add(key)

        IOLoop.current().spawn_callback(work)
        self.set_status(202)
        self.write({"accepted": True})

    def get(self, key: str) -> None:
        self.write({"done": key in done})


class Talk(WebSocketHandler):
    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return "two" if "two" in subprotocols else None

    def prepare(self) -> None:
        if self.path_args[0] == "secret":
            raise HTTPError(403)

    def open(self, room: str) -> None:
        self.room = room

    def on_message(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.write_message(message[::-1], binary=True)
        elif message == "bye":
            self.close(4001, "as you wish")
        else:
            self.write_message(f"{self.room}: {message}")


class Fail(RequestHandler):
    def get(self) -> None:
        raise RuntimeError("of the test")


app = Application(
    [
        url(r"/hello/([^/]+)", Hello, name="hello"),
        (r"/square/(\d+)", Square),
        (r"/search", Search),
        (r"/form", Form),
        (r"/upload", Upload),
        (r"/json", Echo),
        (r"/login", Login),
        (r"/me", Me),
        (r"/old", Old),
        (r"/stream/(\w+)", Stream),
        (r"/events/(\w+)", Events),
        (r"/open/(\w+)", Open),
        (r"/work/(\w+)", Work),
        (r"/ws/(\w+)", Talk),
        (r"/fail", Fail),
        (r"/static/(.*)", StaticFileHandler, {"path": os.environ["STATIC"]}),
    ],
    cookie_secret="of a test",
)
