import asyncio
from collections.abc import AsyncIterator

from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

import django_site
from gate import AsyncGates

gates = AsyncGates()
tasks: set[asyncio.Task[None]] = set()  # asyncio itself keeps none alive
done: set[str] = set()


async def stream(_request: HttpRequest, key: str) -> StreamingHttpResponse:
    async def lines() -> AsyncIterator[str]:
        yield "first\n"
        await gates.wait(key)
        yield "last\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


async def events(_request: HttpRequest, key: str) -> StreamingHttpResponse:
    async def messages() -> AsyncIterator[str]:
        yield "event: greeting\ndata: Grüße\n\n"
        await gates.wait(key)
        yield "event: end\ndata: bye\n\n"

    return StreamingHttpResponse(messages(), content_type="text/event-stream")


async def work(request: HttpRequest, key: str) -> JsonResponse:
    async def run() -> None:
        await gates.wait(key)
        done.add(key)

    if request.method == "POST":
        task = asyncio.create_task(run())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return JsonResponse({"accepted": True}, status=202)
    return JsonResponse({"done": key in done})


async def open_gate(_request: HttpRequest, key: str) -> HttpResponse:
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
application = get_asgi_application()
