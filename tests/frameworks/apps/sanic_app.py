import hashlib
import os

from sanic import Request, Sanic, Websocket, empty, json, redirect, text
from sanic.response import HTTPResponse

from gate import AsyncGates

gates = AsyncGates()
done: set[str] = set()

app = Sanic("frameworks")
app.static("/static", os.environ["STATIC"], use_content_range=True)


@app.get("/hello/<name:str>", unquote=True)
async def hello(request: Request, name: str) -> HTTPResponse:
    return text(f"Hello, {name}!")


@app.get("/square/<number:int>")
async def square(request: Request, number: int) -> HTTPResponse:
    return text(str(number**2))


@app.get("/search")
async def search(request: Request) -> HTTPResponse:
    return json({"q": request.args.get("q"), "tags": request.args.getlist("tag")})


@app.post("/form")
async def form(request: Request) -> HTTPResponse:
    return json({name: request.form.get(name) for name in request.form})


@app.post("/upload")
async def upload(request: Request) -> HTTPResponse:
    file = request.files.get("file")
    digest = hashlib.sha256(file.body).hexdigest()
    return json({"name": file.name, "size": len(file.body), "sha256": digest, "note": request.form.get("note")})


@app.post("/json")
async def echo(request: Request) -> HTTPResponse:
    return json({"got": request.json})


@app.post("/login")
async def login(request: Request) -> HTTPResponse:
    response = empty()
    response.add_cookie("user", request.form.get("user"), secure=False)
    response.add_cookie("theme", "dark", secure=False)
    return response


@app.get("/me")
async def me(request: Request) -> HTTPResponse:
    return json({"user": request.cookies.get("user"), "theme": request.cookies.get("theme")})


@app.get("/old")
async def old(request: Request) -> HTTPResponse:
    return redirect(request.url_for("hello", name="world"))


@app.get("/stream/<key:str>")
async def stream(request: Request, key: str) -> None:
    response = await request.respond(content_type="text/plain")
    await response.send("first\n")
    await gates.wait(key)
    await response.send("last\n")
    await response.eof()


@app.get("/events/<key:str>")
async def events(request: Request, key: str) -> None:
    response = await request.respond(content_type="text/event-stream; charset=utf-8")
    await response.send("event: greeting\ndata: Grüße\n\n")
    await gates.wait(key)
    await response.send("event: end\ndata: bye\n\n")
    await response.eof()


@app.post("/open/<key:str>")
async def open_gate(request: Request, key: str) -> HTTPResponse:
    gates.open(key)
    return empty()


@app.post("/work/<key:str>")
async def start_work(request: Request, key: str) -> HTTPResponse:
    request.app.add_task(work(key))
    return json({"accepted": True}, status=202)


async def work(key: str) -> None:
    await gates.wait(key)
    done.add(key)


@app.get("/work/<key:str>")
async def see_work(request: Request, key: str) -> HTTPResponse:
    return json({"done": key in done})


@app.websocket("/ws/<room:str>", subprotocols=["two"])
async def talk(request: Request, socket: Websocket, room: str) -> None:
    while (said := await socket.recv()) != "bye":
        await socket.send(f"{room}: {said}" if isinstance(said, str) else said[::-1])
    await socket.close(4001, "as you wish")


@app.get("/fail")
async def fail(request: Request) -> HTTPResponse:
    raise RuntimeError("of the test")
