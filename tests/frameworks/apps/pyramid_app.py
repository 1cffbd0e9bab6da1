import hashlib
import os
import threading
from collections.abc import Iterator
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound, HTTPInternalServerError
from pyramid.request import Request
from pyramid.response import FileResponse, Response
from pyramid.session import SignedCookieSessionFactory
from pyramid.view import exception_view_config, view_config

from gate import ThreadGates
from wrapped import wrapped

gates = ThreadGates()
done: set[str] = set()


@view_config(route_name="hello", request_method="GET")
def hello(request: Request) -> Response:
    return Response(f"Hello, {request.matchdict['name']}!", content_type="text/plain")


@view_config(route_name="square")
def square(request: Request) -> Response:
    return Response(str(int(request.matchdict["number"]) ** 2), content_type="text/plain")


@view_config(route_name="search", request_method="GET", renderer="json")
def search(request: Request) -> dict[str, Any]:
    return {"q": request.GET["q"], "tags": request.GET.getall("tag")}


@view_config(route_name="form", request_method="POST", renderer="json")
def form(request: Request) -> dict[str, str]:
    return dict(request.POST)


@view_config(route_name="upload", request_method="POST", renderer="json")
def upload(request: Request) -> dict[str, Any]:
    field = request.POST["file"]
    content = field.file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": field.filename, "size": len(content), "sha256": digest, "note": request.POST["note"]}


@view_config(route_name="json", request_method="POST", renderer="json")
def echo(request: Request) -> dict[str, Any]:
    return {"got": request.json_body}


@view_config(route_name="login", request_method="POST")
def login(request: Request) -> Response:
    request.session["user"] = request.POST["user"]
    response = Response(status=204)
    response.set_cookie("theme", "dark")
    return response


@view_config(route_name="me", renderer="json")
def me(request: Request) -> dict[str, str | None]:
    return {"user": request.session.get("user"), "theme": request.cookies.get("theme")}


@view_config(route_name="old")
def old(request: Request) -> Response:
    return HTTPFound(request.route_url("hello", name="world"))


@view_config(route_name="stream")
def stream(request: Request) -> Response:
    def lines() -> Iterator[bytes]:
        yield b"first\n"
        gates.wait(request.matchdict["key"])
        yield b"last\n"

    return Response(app_iter=lines(), content_type="text/plain")


@view_config(route_name="events")
def events(request: Request) -> Response:
    def messages() -> Iterator[bytes]:
        yield "event: greeting\ndata: Grüße\n\n".encode()
        gates.wait(request.matchdict["key"])
        yield b"event: end\ndata: bye\n\n"

    return Response(app_iter=messages(), content_type="text/event-stream")


@view_config(route_name="open", request_method="POST")
def open_gate(request: Request) -> Response:
    gates.open(request.matchdict["key"])
    return Response(status=204)


@view_config(route_name="work", request_method="POST", renderer="json")
def start_work(request: Request) -> dict[str, bool]:
    threading.Thread(target=work, args=[request.matchdict["key"]]).start()
    request.response.status_code = 202
    return {"accepted": True}


def work(key: str) -> None:
    gates.wait(key)
    done.add(key)


@view_config(route_name="work", request_method="GET", renderer="json")
def see_work(request: Request) -> dict[str, bool]:
    return {"done": request.matchdict["key"] in done}


@view_config(route_name="download")
def download(request: Request) -> Response:
    response = FileResponse(os.path.join(os.environ["STATIC"], request.matchdict["name"]), request)
    response.content_disposition = 'attachment; filename="snow.bin"'
    return response


@view_config(route_name="cookies", renderer="json")
def cookies(request: Request) -> dict[str, str]:
    request.response.set_cookie("a", "1", httponly=True)
    request.response.set_cookie("b", "two words", max_age=60)
    request.response.delete_cookie("c")
    return dict(request.cookies)


@view_config(route_name="raw", request_method="POST")
def raw(request: Request) -> Response:
    return Response(hashlib.sha256(request.body_file.read()).hexdigest(), content_type="text/plain")


@view_config(route_name="fail")
def fail(_request: Request) -> Response:
    raise RuntimeError("of the test")


@exception_view_config(Exception)
def error_page(_exception: Exception, _request: Request) -> Response:  # without one Pyramid leaves exceptions to the server
    return HTTPInternalServerError("It is in the log.")


with Configurator(session_factory=SignedCookieSessionFactory("of a test")) as config:
    config.add_route("hello", "/hello/{name}")
    config.add_route("square", r"/square/{number:\d+}")
    for name in ("search", "form", "upload", "json", "login", "me", "old", "cookies", "raw", "fail"):
        config.add_route(name, f"/{name}")
    for name in ("stream", "events", "open", "work"):
        config.add_route(name, f"/{name}/{{key}}")
    config.add_route("download", "/download/{name}")
    config.add_static_view("static", os.environ["STATIC"])
    config.scan()
    app = wrapped(config.make_wsgi_app())
