import hashlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import falcon
from falcon import App, Request, Response

from gate import ThreadGates
from wrapped import wrapped

gates = ThreadGates()
done: set[str] = set()


class Hello:
    def on_get(self, req: Request, resp: Response, name: str) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"Hello, {name}!"


class Square:
    def on_get(self, req: Request, resp: Response, number: int) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = str(number**2)


class Search:
    def on_get(self, req: Request, resp: Response) -> None:
        resp.media = {"q": req.get_param("q"), "tags": req.get_param_as_list("tag")}


class Form:
    def on_post(self, req: Request, resp: Response) -> None:
        resp.media = req.get_media()


class Upload:
    def on_post(self, req: Request, resp: Response) -> None:
        answer: dict[str, Any] = {}
        for part in req.get_media():
            if part.name == "file":
                content = part.stream.read()
                digest = hashlib.sha256(content).hexdigest()
                answer |= {"name": part.filename, "size": len(content), "sha256": digest}
            else:
                answer[part.name] = part.text
        resp.media = answer


class Echo:
    def on_post(self, req: Request, resp: Response) -> None:
        resp.media = {"got": req.get_media()}


class Login:
    def on_post(self, req: Request, resp: Response) -> None:
        resp.set_cookie("user", req.get_media()["user"], secure=False)
        resp.set_cookie("theme", "dark", secure=False)
        resp.status = falcon.HTTP_204


class Me:
    def on_get(self, req: Request, resp: Response) -> None:
        resp.media = {"user": req.cookies.get("user"), "theme": req.cookies.get("theme")}


class Old:
    def on_get(self, req: Request, resp: Response) -> None:
        raise falcon.HTTPFound(f"{req.prefix}/hello/world")


class Stream:
    def on_get(self, req: Request, resp: Response, key: str) -> None:
        def lines() -> Iterator[bytes]:
            yield b"first\n"
            gates.wait(key)
            yield b"last\n"

        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = lines()


class Events:
    def on_get(self, req: Request, resp: Response, key: str) -> None:
        def messages() -> Iterator[bytes]:
            yield "event: greeting\ndata: Grüße\n\n".encode()
            gates.wait(key)
            yield b"event: end\ndata: bye\n\n"

        resp.content_type = "text/event-stream"
        resp.stream = messages()


class Open:
    def on_post(self, req: Request, resp: Response, key: str) -> None:
        gates.open(key)
        resp.status = falcon.HTTP_204


class Work:
    def on_post(self, req: Request, resp: Response, key: str) -> None:
        def work() -> None:
            gates.wait(key)
            done.add(key)

        threading.Thread(target=work).start()
        resp.status = falcon.HTTP_202
        resp.media = {"accepted": True}

    def on_get(self, req: Request, resp: Response, key: str) -> None:
        resp.media = {"done": key in done}


class Download:
    def on_get(self, req: Request, resp: Response, name: str) -> None:
        path = os.path.join(os.environ["STATIC"], name)
        resp.set_stream(open(path, "rb"), os.path.getsize(path))  # noqa: SIM115 (the server closes it)
        resp.content_type = falcon.MEDIA_TEXT
        resp.downloadable_as = "snow.bin"


class Cookies:
    def on_get(self, req: Request, resp: Response) -> None:
        resp.set_cookie("a", "1", secure=False)
        resp.set_cookie("b", "two words", secure=False, max_age=60)
        resp.unset_cookie("c")
        resp.media = req.cookies


class Raw:
    def on_post(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = hashlib.sha256(req.stream.read()).hexdigest()


class Fail:
    def on_get(self, req: Request, resp: Response) -> None:
        raise RuntimeError("of the test")


app = App()
app.add_route("/hello/{name}", Hello())
app.add_route("/square/{number:int}", Square())
app.add_route("/search", Search())
app.add_route("/form", Form())
app.add_route("/upload", Upload())
app.add_route("/json", Echo())
app.add_route("/login", Login())
app.add_route("/me", Me())
app.add_route("/old", Old())
app.add_route("/stream/{key}", Stream())
app.add_route("/events/{key}", Events())
app.add_route("/open/{key}", Open())
app.add_route("/work/{key}", Work())
app.add_route("/download/{name}", Download())
app.add_route("/cookies", Cookies())
app.add_route("/raw", Raw())
app.add_route("/fail", Fail())
app.add_static_route("/static", os.environ["STATIC"])
application = wrapped(app)
