import hashlib
import os
import threading
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, jsonify, redirect, request, send_file, session, stream_with_context, url_for

from gate import ThreadGates
from wrapped import wrapped

gates = ThreadGates()
done: set[str] = set()

app = Flask(__name__, static_folder=os.environ["STATIC"], static_url_path="/static")
app.secret_key = "of a test"
app.wsgi_app = wrapped(app.wsgi_app)


@app.get("/hello/<name>")
def hello(name: str) -> str:
    return f"Hello, {name}!"


@app.get("/square/<int:number>")
def square(number: int) -> str:
    return str(number**2)


@app.get("/search")
def search() -> dict[str, Any]:
    return {"q": request.args["q"], "tags": request.args.getlist("tag")}


@app.post("/form")
def form() -> dict[str, str]:
    return request.form.to_dict()


@app.post("/upload")
def upload() -> dict[str, Any]:
    file = request.files["file"]
    content = file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": file.filename, "size": len(content), "sha256": digest, "note": request.form["note"]}


@app.post("/json")
def echo() -> Response:
    return jsonify(got=request.get_json())


@app.post("/login")
def login() -> Response:
    session["user"] = request.form["user"]
    response = Response(status=204)
    response.set_cookie("theme", "dark")
    return response


@app.get("/me")
def me() -> dict[str, str | None]:
    return {"user": session.get("user"), "theme": request.cookies.get("theme")}


@app.get("/old")
def old() -> Response:
    return redirect(url_for("hello", name="world", _external=True))


@app.get("/stream/<key>")
def stream(key: str) -> Response:
    @stream_with_context
    def lines() -> Iterator[str]:
        yield "first\n"
        gates.wait(key)
        yield "last\n"

    return Response(lines(), mimetype="text/plain")


@app.get("/events/<key>")
def events(key: str) -> Response:
    def messages() -> Iterator[str]:
        yield "event: greeting\ndata: Grüße\n\n"
        gates.wait(key)
        yield "event: end\ndata: bye\n\n"

    return Response(messages(), mimetype="text/event-stream")


@app.post("/open/<key>")
def open_gate(key: str) -> tuple[str, int]:
    gates.open(key)
    return "", 204


@app.post("/work/<key>")
def start_work(key: str) -> tuple[dict[str, bool], int]:
    threading.Thread(target=work, args=[key]).start()
    return {"accepted": True}, 202


def work(key: str) -> None:
    gates.wait(key)
    done.add(key)


@app.get("/work/<key>")
def see_work(key: str) -> dict[str, bool]:
    return {"done": key in done}


@app.get("/download/<name>")
def download(name: str) -> Response:
    return send_file(os.path.join(os.environ["STATIC"], name), as_attachment=True, download_name="snow.bin")


@app.get("/cookies")
def cookies() -> Response:
    response = jsonify(request.cookies)
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "two words", max_age=60)
    response.delete_cookie("c")
    return response


@app.post("/raw")
def raw() -> str:
    return hashlib.sha256(request.get_data()).hexdigest()


@app.get("/fail")
def fail() -> str:
    raise RuntimeError("of the test")
