"""After Django's pages on CSV output and on StreamingHttpResponse: one module, `asgi` and `wsgi` are its two applications.

Each example's pause is a gate: /gates/{name} opens it.
"""

import csv
from collections.abc import AsyncIterator, Iterator

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from gate import AsyncGates, ThreadGates

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a test", DEBUG=False)
django.setup()

gates = AsyncGates()
thread_gates = ThreadGates()


class Echo:
    """A pseudo-buffer: it gives back what it is to write."""

    def write(self, value: str) -> str:
        return value


def large_csv(_request: HttpRequest) -> StreamingHttpResponse:
    def rows() -> Iterator[list[str]]:
        for number in range(65536):
            yield [f"Row {number}", str(number)]
            if number == 0:
                thread_gates.wait("csv")

    writer = csv.writer(Echo())
    return StreamingHttpResponse(
        (writer.writerow(row) for row in rows()),
        content_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="somefilename.csv"'},
    )


async def numbers(_request: HttpRequest) -> StreamingHttpResponse:
    async def content() -> AsyncIterator[str]:
        for number in range(3):
            yield f"number {number}\n"
            await gates.wait(f"number-{number}")

    return StreamingHttpResponse(content(), content_type="text/plain")


def open_gate(_request: HttpRequest, name: str) -> HttpResponse:
    thread_gates.open(name)
    return HttpResponse(status=204)


async def open_gate_async(_request: HttpRequest, name: str) -> HttpResponse:
    gates.open(name)
    return HttpResponse(status=204)


urlpatterns = [
    path("large.csv", large_csv),
    path("numbers", numbers),
    path("gates/<name>", open_gate),
    path("async-gates/<name>", open_gate_async),
]
asgi = get_asgi_application()
wsgi = get_wsgi_application()
