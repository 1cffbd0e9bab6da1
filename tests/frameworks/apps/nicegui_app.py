"""Pages are NiceGUI's; what is not a page is a route of its FastAPI application. `main` is what a server serves."""

import hashlib
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Body, FastAPI, Form, Query, Request, Response, UploadFile
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from nicegui import app, background_tasks, ui
from pydantic import BaseModel

from gate import AsyncGates
from talk import talk

gates = AsyncGates()
done: set[str] = set()

main = FastAPI()
app.add_static_files("/static", os.environ["STATIC"])


class Message(BaseModel):
    name: str
    message: str


@ui.page("/hello/{name}")
async def hello(name: str) -> None:
    ui.label(f"Hello, {name}!")


@main.get("/square/{number:int}", response_class=PlainTextResponse)
async def square(number: int) -> str:
    return str(number**2)


@main.get("/search")
async def search(q: str, tag: Annotated[list[str], Query()]) -> dict[str, Any]:
    return {"q": q, "tags": tag}


@main.post("/form")
async def form(message: Annotated[Message, Form()]) -> Message:
    return message


@main.post("/upload")
async def upload(file: UploadFile, note: Annotated[str, Form()]) -> dict[str, Any]:
    content = await file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": file.filename, "size": len(content), "sha256": digest, "note": note}


@main.post("/json")
async def echo(value: Annotated[Any, Body()]) -> dict[str, Any]:
    return {"got": value}


@app.post("/login", status_code=204)
async def login(response: Response, user: Annotated[str, Form()]) -> None:
    app.storage.browser["user"] = user
    response.set_cookie("theme", "dark")


@app.get("/me")
async def me(request: Request) -> dict[str, str | None]:
    return {"user": app.storage.browser.get("user"), "theme": request.cookies.get("theme")}


@main.get("/old")
async def old(request: Request) -> RedirectResponse:
    return RedirectResponse(f"{request.base_url}hello/world")


@main.get("/stream/{key}")
async def stream(key: str) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        yield "first\n"
        await gates.wait(key)
        yield "last\n"

    return StreamingResponse(lines(), media_type="text/plain")


@main.get("/events/{key}", response_class=EventSourceResponse)
async def events(key: str) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(event="greeting", raw_data="Grüße")
    await gates.wait(key)
    yield ServerSentEvent(event="end", raw_data="bye")


@main.post("/open/{key}", status_code=204)
async def open_gate(key: str) -> None:
    gates.open(key)


@main.post("/work/{key}", status_code=202)
async def start_work(key: str) -> dict[str, bool]:
    background_tasks.create(work(key))
    return {"accepted": True}


async def work(key: str) -> None:
    await gates.wait(key)
    done.add(key)


@main.get("/work/{key}")
async def see_work(key: str) -> dict[str, bool]:
    return {"done": key in done}


main.websocket("/ws/{room}")(talk)


@ui.page("/fail")
async def fail() -> None:
    raise RuntimeError("of the test")


ui.run_with(main, storage_secret="of a test")
