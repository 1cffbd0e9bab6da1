import hashlib
import os
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from gate import AsyncGates
from talk import talk

gates = AsyncGates()
done: set[str] = set()


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"Hello, {request.path_params['name']}!")


async def square(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(request.path_params["number"] ** 2))


async def search(request: Request) -> JSONResponse:
    return JSONResponse({"q": request.query_params["q"], "tags": request.query_params.getlist("tag")})


async def form(request: Request) -> JSONResponse:
    async with request.form() as fields:
        return JSONResponse(dict(fields))


async def upload(request: Request) -> JSONResponse:
    async with request.form() as fields:
        file = fields["file"]
        content = await file.read()
        digest = hashlib.sha256(content).hexdigest()
        return JSONResponse({"name": file.filename, "size": len(content), "sha256": digest, "note": fields["note"]})


async def echo(request: Request) -> JSONResponse:
    return JSONResponse({"got": await request.json()})


async def login(request: Request) -> Response:
    async with request.form() as fields:
        request.session["user"] = fields["user"]
    response = Response(status_code=204)
    response.set_cookie("theme", "dark")
    return response


async def me(request: Request) -> JSONResponse:
    return JSONResponse({"user": request.session.get("user"), "theme": request.cookies.get("theme")})


async def old(request: Request) -> RedirectResponse:
    return RedirectResponse(request.url_for("hello", name="world"))


async def stream(request: Request) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        yield "first\n"
        await gates.wait(request.path_params["key"])
        yield "last\n"

    return StreamingResponse(lines(), media_type="text/plain")


async def events(request: Request) -> StreamingResponse:
    async def messages() -> AsyncIterator[str]:
        yield "event: greeting\ndata: Grüße\n\n"
        await gates.wait(request.path_params["key"])
        yield "event: end\ndata: bye\n\n"

    return StreamingResponse(messages(), media_type="text/event-stream")


async def open_gate(request: Request) -> Response:
    gates.open(request.path_params["key"])
    return Response(status_code=204)


async def start_work(request: Request) -> JSONResponse:
    async def work(key: str) -> None:
        await gates.wait(key)
        done.add(key)

    task = BackgroundTask(work, request.path_params["key"])
    return JSONResponse({"accepted": True}, status_code=202, background=task)


async def see_work(request: Request) -> JSONResponse:
    return JSONResponse({"done": request.path_params["key"] in done})


async def fail(request: Request) -> Response:
    raise RuntimeError("of the test")


app = Starlette(
    routes=[
        Route("/hello/{name}", hello, name="hello"),
        Route("/square/{number:int}", square),
        Route("/search", search),
        Route("/form", form, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/json", echo, methods=["POST"]),
        Route("/login", login, methods=["POST"]),
        Route("/me", me),
        Route("/old", old),
        Route("/stream/{key}", stream),
        Route("/events/{key}", events),
        Route("/open/{key}", open_gate, methods=["POST"]),
        Route("/work/{key}", start_work, methods=["POST"]),
        Route("/work/{key}", see_work),
        Route("/fail", fail),
        WebSocketRoute("/ws/{room}", talk),
        Mount("/static", StaticFiles(directory=os.environ["STATIC"])),
    ],
    middleware=[Middleware(SessionMiddleware, secret_key="of a test")],
)
