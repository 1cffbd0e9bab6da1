import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any

from quart import Quart, Response, abort, jsonify, redirect, request, session, url_for, websocket

from gate import AsyncGates

gates = AsyncGates()
done: set[str] = set()

app = Quart(__name__, static_folder=os.environ["STATIC"], static_url_path="/static")
app.secret_key = "of a test"


@app.get("/hello/<name>")
async def hello(name: str) -> str:
    return f"Hello, {name}!"


@app.get("/square/<int:number>")
def square(number: int) -> str:  # without async: Quart runs it in a thread
    return str(number**2)


@app.get("/search")
async def search() -> dict[str, Any]:
    return {"q": request.args["q"], "tags": request.args.getlist("tag")}


@app.post("/form")
async def form() -> dict[str, str]:
    return (await request.form).to_dict()


@app.post("/upload")
async def upload() -> dict[str, Any]:
    file, fields = (await request.files)["file"], await request.form
    content = file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": file.filename, "size": len(content), "sha256": digest, "note": fields["note"]}


@app.post("/json")
async def echo() -> Response:
    return jsonify(got=await request.get_json())


@app.post("/login")
async def login() -> Response:
    session["user"] = (await request.form)["user"]
    response = Response(status=204)
    response.set_cookie("theme", "dark")
    return response


@app.get("/me")
async def me() -> dict[str, str | None]:
    return {"user": session.get("user"), "theme": request.cookies.get("theme")}


@app.get("/old")
async def old() -> Response:
    return redirect(url_for("hello", name="world", _external=True))


@app.get("/stream/<key>")
async def stream(key: str) -> Response:
    async def lines() -> AsyncIterator[str]:
        yield "first\n"
        await gates.wait(key)
        yield "last\n"

    return Response(lines(), mimetype="text/plain")


@app.get("/events/<key>")
async def events(key: str) -> Response:
    async def messages() -> AsyncIterator[str]:
        yield "event: greeting\ndata: Grüße\n\n"
        await gates.wait(key)
        yield "event: end\ndata: bye\n\n"

    return Response(messages(), mimetype="text/event-stream")


@app.post("/open/<key>")
async def open_gate(key: str) -> tuple[str, int]:
    gates.open(key)
    return "", 204


@app.post("/work/<key>")
async def start_work(key: str) -> tuple[dict[str, bool], int]:
    app.add_background_task(work, key)
    return {"accepted": True}, 202


async def work(key: str) -> None:
    await gates.wait(key)
    done.add(key)


@app.get("/work/<key>")
async def see_work(key: str) -> dict[str, bool]:
    return {"done": key in done}


@app.websocket("/ws/<room>")
async def talk(room: str) -> None:
    if room == "secret":
        abort(403)
    await websocket.accept(subprotocol="two" if "two" in websocket.requested_subprotocols else None)
    while (said := await websocket.receive()) != "bye":
        await websocket.send(f"{room}: {said}" if isinstance(said, str) else said[::-1])
    await websocket.close(4001, "as you wish")


@app.get("/fail")
async def fail() -> str:
    raise RuntimeError("of the test")
