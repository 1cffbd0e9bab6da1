import hashlib
import os
import threading
from collections.abc import Iterator

from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

import django_site
from gate import ThreadGates
from wrapped import wrapped

gates = ThreadGates()
done: set[str] = set()


def stream(_request: HttpRequest, key: str) -> StreamingHttpResponse:
    def lines() -> Iterator[str]:
        yield "first\n"
        gates.wait(key)
        yield "last\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


def events(_request: HttpRequest, key: str) -> StreamingHttpResponse:
    def messages() -> Iterator[str]:
        yield "event: greeting\ndata: Grüße\n\n"
        gates.wait(key)
        yield "event: end\ndata: bye\n\n"

    return StreamingHttpResponse(messages(), content_type="text/event-stream")


def work(request: HttpRequest, key: str) -> JsonResponse:
    def run() -> None:
        gates.wait(key)
        done.add(key)

    if request.method == "POST":
        threading.Thread(target=run).start()
        return JsonResponse({"accepted": True}, status=202)
    return JsonResponse({"done": key in done})


def open_gate(_request: HttpRequest, key: str) -> HttpResponse:
    gates.open(key)
    return HttpResponse(status=204)


def download(_request: HttpRequest, name: str) -> FileResponse:
    file = open(os.path.join(os.environ["STATIC"], name), "rb")  # noqa: SIM115 (the response closes it)
    return FileResponse(file, as_attachment=True, filename="snow.bin")


def cookies(request: HttpRequest) -> JsonResponse:
    response = JsonResponse(request.COOKIES)
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "two words", max_age=60)
    response.delete_cookie("c")
    return response


def raw(request: HttpRequest) -> HttpResponse:
    return HttpResponse(hashlib.sha256(request.body).hexdigest())


urlpatterns = [
    *django_site.urlpatterns,
    path("stream/<key>", stream),
    path("events/<key>", events),
    path("work/<key>", work),
    path("open/<key>", open_gate),
    path("download/<name>", download),
    path("cookies", cookies),
    path("raw", raw),
]

django_site.setup(__name__)
application = wrapped(get_wsgi_application())
