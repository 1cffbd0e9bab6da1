import threading
from collections.abc import Iterator

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

import django_site
from gate import ThreadGates

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


urlpatterns = [
    *django_site.urlpatterns,
    path("stream/<key>", stream),
    path("events/<key>", events),
    path("work/<key>", work),
    path("open/<key>", open_gate),
]

django_site.setup(__name__)
application = get_wsgi_application()
