import hashlib
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import BackgroundTasks, Body, FastAPI, Form, Path, Query, Request, Response, UploadFile
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware

from gate import AsyncGates
from talk import talk

gates = AsyncGates()
done: set[str] = set()

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key="of a test")
app.mount("/static", StaticFiles(directory=os.environ["STATIC"]))


class Message(BaseModel):
    name: str
    message: str


@app.get("/hello/{name}", response_class=PlainTextResponse)
async def hello(name: str) -> str:
    return f"Hello, {name}!"


@app.get("/square/{number:int}", response_class=PlainTextResponse)
def square(number: Annotated[int, Path(ge=0)]) -> str:  # without async: FastAPI runs it in a thread
    return str(number**2)


@app.get("/search")
async def search(q: str, tag: Annotated[list[str], Query()]) -> dict[str, Any]:
    return {"q": q, "tags": tag}


@app.post("/form")
async def form(message: Annotated[Message, Form()]) -> Message:
    return message


@app.post("/upload")
async def upload(file: UploadFile, note: Annotated[str, Form()]) -> dict[str, Any]:
    content = await file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": file.filename, "size": len(content), "sha256": digest, "note": note}


@app.post("/json")
async def echo(value: Annotated[Any, Body()]) -> dict[str, Any]:
    return {"got": value}


@app.post("/login", status_code=204)
async def login(request: Request, response: Response, user: Annotated[str, Form()]) -> None:
    request.session["user"] = user
    response.set_cookie("theme", "dark")


@app.get("/me")
async def me(request: Request) -> dict[str, str | None]:
    return {"user": request.session.get("user"), "theme": request.cookies.get("theme")}


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


@app.get("/events/{key}", response_class=EventSourceResponse)
async def events(key: str) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(event="greeting", raw_data="Grüße")
    await gates.wait(key)
    yield ServerSentEvent(event="end", raw_data="bye")


@app.post("/open/{key}", status_code=204)
async def open_gate(key: str) -> None:
    gates.open(key)


@app.post("/work/{key}", status_code=202)
async def start_work(key: str, background_tasks: BackgroundTasks) -> dict[str, bool]:
    background_tasks.add_task(work, key)
    return {"accepted": True}


async def work(key: str) -> None:
    await gates.wait(key)
    done.add(key)


@app.get("/work/{key}")
async def see_work(key: str) -> dict[str, bool]:
    return {"done": key in done}


app.websocket("/ws/{room}")(talk)


@app.get("/fail")
async def fail() -> None:
    raise RuntimeError("of the test")
