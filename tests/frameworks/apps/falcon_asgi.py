import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any

import falcon
from falcon.asgi import App, Request, Response, SSEvent, WebSocket

from gate import AsyncGates

gates = AsyncGates()
done: set[str] = set()


class Hello:
    async def on_get(self, req: Request, resp: Response, name: str) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"Hello, {name}!"


class Square:
    async def on_get(self, req: Request, resp: Response, number: int) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = str(number**2)


class Search:
    async def on_get(self, req: Request, resp: Response) -> None:
        resp.media = {"q": req.get_param("q"), "tags": req.get_param_as_list("tag")}


class Form:
    async def on_post(self, req: Request, resp: Response) -> None:
        resp.media = await req.get_media()


class Upload:
    async def on_post(self, req: Request, resp: Response) -> None:
        answer: dict[str, Any] = {}
        async for part in await req.get_media():
            if part.name == "file":
                content = await part.stream.read()
                digest = hashlib.sha256(content).hexdigest()
                answer |= {"name": part.filename, "size": len(content), "sha256": digest}
            else:
                answer[part.name] = await part.text
        resp.media = answer


class Echo:
    async def on_post(self, req: Request, resp: Response) -> None:
        resp.media = {"got": await req.get_media()}


class Login:
    async def on_post(self, req: Request, resp: Response) -> None:
        form = await req.get_media()
        resp.set_cookie("user", form["user"], secure=False)
        resp.set_cookie("theme", "dark", secure=False)
        resp.status = falcon.HTTP_204


class Me:
    async def on_get(self, req: Request, resp: Response) -> None:
        resp.media = {"user": req.cookies.get("user"), "theme": req.cookies.get("theme")}


class Old:
    async def on_get(self, req: Request, resp: Response) -> None:
        raise falcon.HTTPFound(f"{req.prefix}/hello/world")


class Stream:
    async def on_get(self, req: Request, resp: Response, key: str) -> None:
        async def lines() -> AsyncIterator[bytes]:
            yield b"first\n"
            await gates.wait(key)
            yield b"last\n"

        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = lines()


class Events:
    async def on_get(self, req: Request, resp: Response, key: str) -> None:
        async def messages() -> AsyncIterator[SSEvent]:
            yield SSEvent(event="greeting", text="Grüße")
            await gates.wait(key)
            yield SSEvent(event="end", text="bye")

        resp.sse = messages()


class Open:
    async def on_post(self, req: Request, resp: Response, key: str) -> None:
        gates.open(key)
        resp.status = falcon.HTTP_204


class Work:
    async def on_post(self, req: Request, resp: Response, key: str) -> None:
        async def work() -> None:
            await gates.wait(key)
            done.add(key)

        resp.schedule(work)
        resp.status = falcon.HTTP_202
        resp.media = {"accepted": True}

    async def on_get(self, req: Request, resp: Response, key: str) -> None:
        resp.media = {"done": key in done}


class Talk:
    async def on_websocket(self, req: Request, socket: WebSocket, room: str) -> None:
        if room == "secret":
            raise falcon.HTTPForbidden
        await socket.accept("two" if "two" in socket.subprotocols else None)
        await socket.send_text(f"{room}: {await socket.receive_text()}")  # Falcon wants to know what comes
        await socket.send_data((await socket.receive_data())[::-1])
        assert await socket.receive_text() == "bye"
        await socket.close(4001, "as you wish")


class Fail:
    async def on_get(self, req: Request, resp: Response) -> None:
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
app.add_route("/ws/{room}", Talk())
app.add_route("/fail", Fail())
app.add_static_route("/static", os.environ["STATIC"])
