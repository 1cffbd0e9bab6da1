import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, websocket
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import Cookie, UploadFile
from litestar.enums import RequestEncodingType
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.params import Body, Parameter
from litestar.response import Redirect, ServerSentEvent, ServerSentEventMessage, Stream
from litestar.static_files import create_static_files_router

from gate import AsyncGates

gates = AsyncGates()
done: set[str] = set()


@dataclass
class Message:
    name: str
    message: str


@dataclass
class Upload:
    file: UploadFile
    note: str


@get("/hello/{who:str}", name="hello", media_type=MediaType.TEXT)
async def hello(who: str) -> str:
    return f"Hello, {who}!"


@get("/square/{number:int}", media_type=MediaType.TEXT, sync_to_thread=True)
def square(number: int) -> str:
    return str(number**2)


@get("/search")
async def search(q: str, tags: Annotated[list[str], Parameter(query="tag")]) -> dict[str, Any]:
    return {"q": q, "tags": tags}


@post("/form", status_code=200)
async def form(data: Annotated[Message, Body(media_type=RequestEncodingType.URL_ENCODED)]) -> Message:
    return data


@post("/upload", status_code=200)
async def upload(data: Annotated[Upload, Body(media_type=RequestEncodingType.MULTI_PART)]) -> dict[str, Any]:
    content = await data.file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": data.file.filename, "size": len(content), "sha256": digest, "note": data.note}


@post("/json", status_code=200)
async def echo(data: Any) -> dict[str, Any]:
    return {"got": data}


@post("/login", status_code=204, response_cookies=[Cookie(key="theme", value="dark")])
async def login(
    request: Request[Any, Any, Any], data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
) -> None:
    request.set_session({"user": data["user"]})


@get("/me")
async def me(request: Request[Any, Any, Any]) -> dict[str, str | None]:
    return {"user": request.session.get("user"), "theme": request.cookies.get("theme")}


@get("/old", status_code=302)
async def old(request: Request[Any, Any, Any]) -> Redirect:
    return Redirect(request.url_for("hello", who="world"))


@get("/stream/{key:str}")
async def stream(key: str) -> Stream:
    async def lines() -> AsyncIterator[str]:
        yield "first\n"
        await gates.wait(key)
        yield "last\n"

    return Stream(lines(), media_type=MediaType.TEXT)


@get("/events/{key:str}")
async def events(key: str) -> ServerSentEvent:
    async def messages() -> AsyncIterator[ServerSentEventMessage]:
        yield ServerSentEventMessage(event="greeting", data="Grüße")
        await gates.wait(key)
        yield ServerSentEventMessage(event="end", data="bye")

    return ServerSentEvent(messages())


@post("/open/{key:str}", status_code=204)
async def open_gate(key: str) -> None:
    gates.open(key)


@post("/work/{key:str}", status_code=202)
async def start_work(key: str) -> Response[dict[str, bool]]:
    return Response({"accepted": True}, background=BackgroundTask(work, key))


async def work(key: str) -> None:
    await gates.wait(key)
    done.add(key)


@get("/work/{key:str}")
async def see_work(key: str) -> dict[str, bool]:
    return {"done": key in done}


@websocket("/ws/{room:str}")
async def talk(socket: WebSocket[Any, Any, Any], room: str) -> None:
    if room == "secret":
        await socket.close()
        return
    await socket.accept(subprotocols="two" if "two" in socket.scope["subprotocols"] else None)
    while (message := await socket.receive())["type"] == "websocket.receive":
        said = message.get("text")
        if said is None:
            await socket.send_bytes(message["bytes"][::-1])
        elif said == "bye":
            await socket.close(4001, "as you wish")
        else:
            await socket.send_text(f"{room}: {said}")


@get("/fail")
async def fail() -> None:
    raise RuntimeError("of the test")


app = Litestar(
    route_handlers=[
        *(
            hello,
            square,
            search,
            form,
            upload,
            echo,
            login,
            me,
            old,
            stream,
            events,
            open_gate,
            start_work,
            see_work,
            talk,
            fail,
        ),
        create_static_files_router("/static", [os.environ["STATIC"]]),
    ],
    middleware=[ServerSideSessionConfig().middleware],
)
