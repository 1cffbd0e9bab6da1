import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fasthtml.common import EventStream, FastHTML, P, StaticFiles, UploadFile
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import WebSocketRoute

from gate import AsyncGates
from talk import talk

gates = AsyncGates()
done: set[str] = set()

app = FastHTML(secret_key="of a test")
app.mount("/static", StaticFiles(directory=os.environ["STATIC"]))


@dataclass
class Message:
    name: str
    message: str


@app.get("/hello/{name}", name="hello")
async def hello(name: str) -> Any:
    return P(f"Hello, {name}!")


@app.get("/square/{number:int}")
def square(number: int) -> PlainTextResponse:
    return PlainTextResponse(str(number**2))


@app.get("/search")
async def search(q: str, tag: list[str]) -> dict[str, Any]:
    return {"q": q, "tags": tag}


@app.post("/form")
async def form(message: Message) -> JSONResponse:
    return JSONResponse({"name": message.name, "message": message.message})


@app.post("/upload")
async def upload(file: UploadFile, note: str) -> dict[str, Any]:
    content = await file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": file.filename, "size": len(content), "sha256": digest, "note": note}


@app.post("/json")
async def echo(request: Request) -> JSONResponse:
    return JSONResponse({"got": await request.json()})


@app.post("/login")
async def login(session, user: str) -> Response:
    session["user"] = user
    response = Response(status_code=204)
    response.set_cookie("theme", "dark")
    return response


@app.get("/me")
async def me(session, request: Request) -> dict[str, str | None]:
    return {"user": session.get("user"), "theme": request.cookies.get("theme")}


@app.get("/old")
async def old(request: Request) -> RedirectResponse:
    return RedirectResponse(request.url_for("hello", name="world"))


@app.get("/stream/{key}")
async def stream(key: str) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        yield "first\n"
        await gates.wait(key)
        yield "last\n"

    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/events/{key}")
async def events(key: str) -> StreamingResponse:
    async def messages() -> AsyncIterator[str]:
        yield "event: greeting\ndata: Grüße\n\n"
        await gates.wait(key)
        yield "event: end\ndata: bye\n\n"

    return EventStream(messages())


@app.post("/open/{key}")
async def open_gate(key: str) -> Response:
    gates.open(key)
    return Response(status_code=204)


@app.post("/work/{key}")
async def start_work(key: str) -> JSONResponse:
    return JSONResponse({"accepted": True}, status_code=202, background=BackgroundTask(work, key))


async def work(key: str) -> None:
    await gates.wait(key)
    done.add(key)


@app.get("/work/{key}")
async def see_work(key: str) -> dict[str, bool]:
    return {"done": key in done}


app.routes.append(WebSocketRoute("/ws/{room}", talk))


@app.get("/fail")
async def fail() -> Any:
    raise RuntimeError("of the test")
