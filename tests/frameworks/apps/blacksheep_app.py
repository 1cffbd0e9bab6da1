import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from blacksheep import (
    Application,
    Cookie,
    FromFiles,
    FromForm,
    FromJSON,
    FromQuery,
    Request,
    Response,
    StreamedContent,
    WebSocket,
    get,
    json,
    post,
    redirect,
    status_code,
    text,
    ws,
)
from blacksheep.messages import get_absolute_url_to_path
from blacksheep.server.sse import ServerSentEvent, TextServerSentEvent

from gate import AsyncGates

gates = AsyncGates()
tasks: set[asyncio.Task[None]] = set()  # asyncio itself keeps none alive
done: set[str] = set()

app = Application()
app.use_sessions("of a test")
app.serve_files(os.environ["STATIC"], root_path="static", extensions={".css", ".bin"})


@dataclass
class Message:
    name: str
    message: str


@get("/hello/{name}")
async def hello(name: str) -> Response:
    return text(f"Hello, {name}!")


@get("/square/{int:number}")
async def square(number: int) -> Response:
    return text(str(number**2))


@get("/search")
async def search(q: FromQuery[str], tag: FromQuery[list[str]]) -> Response:
    return json({"q": q.value, "tags": tag.value})


@post("/form")
async def form(message: FromForm[Message]) -> Response:
    return json(message.value)


@post("/upload")
async def upload(request: Request, files: FromFiles) -> Response:
    (file,) = (part for part in files.value if part.name == b"file")
    fields = await request.form()
    digest = hashlib.sha256(file.data).hexdigest()
    return json({"name": file.file_name.decode(), "size": len(file.data), "sha256": digest, "note": fields["note"]})


@post("/json")
async def echo(value: FromJSON[dict[str, Any]]) -> Response:
    return json({"got": value.value})


@post("/login")
async def login(request: Request) -> Response:
    request.session["user"] = (await request.form())["user"]
    response = status_code(204)
    response.set_cookie(Cookie("theme", "dark"))
    return response


@get("/me")
async def me(request: Request) -> Response:
    return json({"user": request.session.get("user"), "theme": request.cookies.get("theme")})


@get("/old")
async def old(request: Request) -> Response:
    return redirect(str(get_absolute_url_to_path(request, "/hello/world")))


@get("/stream/{key}")
async def stream(key: str) -> Response:
    async def lines() -> AsyncIterator[bytes]:
        yield b"first\n"
        await gates.wait(key)
        yield b"last\n"

    return Response(200, content=StreamedContent(b"text/plain", lines))


@get("/events/{key}")
async def events(key: str) -> AsyncIterator[ServerSentEvent]:
    yield TextServerSentEvent("Grüße", event="greeting")
    await gates.wait(key)
    yield TextServerSentEvent("bye", event="end")


@post("/open/{key}")
async def open_gate(key: str) -> Response:
    gates.open(key)
    return status_code(204)


@post("/work/{key}")
async def start_work(key: str) -> Response:
    task = asyncio.create_task(work(key))
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return json({"accepted": True}, 202)


async def work(key: str) -> None:
    await gates.wait(key)
    done.add(key)


@get("/work/{key}")
async def see_work(key: str) -> Response:
    return json({"done": key in done})


@ws("/ws/{room}")
async def talk(socket: WebSocket, room: str) -> None:
    if room == "secret":
        await socket.close()
        return
    await socket.accept(subprotocol="two" if "two" in socket.scope["subprotocols"] else None)
    while (message := await socket.receive())["type"] == "websocket.receive":
        said = message.get("text")
        if said is None:
            await socket.send_bytes(message["bytes"][::-1])
        elif said == "bye":
            await socket.close(4001, "as you wish")
            break
        else:
            await socket.send_text(f"{room}: {said}")


@get("/fail")
async def fail() -> Response:
    raise RuntimeError("of the test")
