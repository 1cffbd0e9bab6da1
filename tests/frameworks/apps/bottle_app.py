import hashlib
import os
import threading
from collections.abc import Iterator
from typing import Any

from bottle import Bottle, redirect, request, response, static_file

from gate import ThreadGates
from wrapped import wrapped

SECRET = "of a test"

gates = ThreadGates()
done: set[str] = set()

app = Bottle()
application = wrapped(app)


@app.get("/hello/<name>", name="hello")
def hello(name: str) -> str:
    return f"Hello, {name}!"


@app.get("/square/<number:int>")
def square(number: int) -> str:
    return str(number**2)


@app.get("/search")
def search() -> dict[str, Any]:
    return {"q": request.query.getunicode("q"), "tags": request.query.decode().getall("tag")}


@app.post("/form")
def form() -> dict[str, str]:
    return dict(request.forms.decode())


@app.post("/upload")
def upload() -> dict[str, Any]:
    file = request.files["file"]
    content = file.file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": file.raw_filename, "size": len(content), "sha256": digest, "note": request.forms.getunicode("note")}


@app.post("/json")
def echo() -> dict[str, Any]:
    return {"got": request.json}


@app.post("/login")
def login() -> None:
    response.set_cookie("user", request.forms.getunicode("user"), secret=SECRET)
    response.set_cookie("theme", "dark")
    response.status = 204


@app.get("/me")
def me() -> dict[str, str | None]:
    return {"user": request.get_cookie("user", secret=SECRET), "theme": request.get_cookie("theme")}


@app.get("/old")
def old() -> None:
    redirect(app.get_url("hello", name="world"))


@app.get("/static/<name:path>")
def static(name: str) -> Any:
    return static_file(name, root=os.environ["STATIC"])


@app.get("/stream/<key>")
def stream(key: str) -> Iterator[str]:
    response.content_type = "text/plain"
    yield "first\n"
    gates.wait(key)
    yield "last\n"


@app.get("/events/<key>")
def events(key: str) -> Iterator[str]:
    response.content_type = "text/event-stream"
    yield "event: greeting\ndata: Grüße\n\n"
    gates.wait(key)
    yield "event: end\ndata: bye\n\n"


@app.post("/open/<key>")
def open_gate(key: str) -> None:
    gates.open(key)
    response.status = 204


@app.post("/work/<key>")
def start_work(key: str) -> dict[str, bool]:
    threading.Thread(target=work, args=[key]).start()
    response.status = 202
    return {"accepted": True}


def work(key: str) -> None:
    gates.wait(key)
    done.add(key)


@app.get("/work/<key>")
def see_work(key: str) -> dict[str, bool]:
    return {"done": key in done}


@app.get("/download/<name>")
def download(name: str) -> Any:
    return static_file(name, root=os.environ["STATIC"], download="snow.bin")


@app.get("/cookies")
def cookies() -> dict[str, str]:
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "two words", max_age=60)
    response.delete_cookie("c")
    return dict(request.cookies.decode())


@app.post("/raw")
def raw() -> str:
    return hashlib.sha256(request.body.read()).hexdigest()


@app.get("/fail")
def fail() -> None:
    raise RuntimeError("of the test")
