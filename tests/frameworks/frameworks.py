"""What is served, and what each framework promises where they differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Framework:
    name: str  # the row of the table
    distribution: str  # whose version stands beside it
    target: str  # in apps/
    error_page: str  # what its own page for an exception says
    validators: tuple[str, ...] = ("etag", "last-modified")  # what a static file can be revalidated with
    ranges: bool = True  # may a part of a static file be asked for?
    wsgi: bool = False
    chunked: str = "read"  # of WSGI, what becomes of a body of chunks: Django sees none, Bottle undoes the chunks a second time
    sockets: bool = True  # has it WebSockets, if it is no WSGI framework?
    closes: bool = True  # may the application say why it closes, and refuse?
    polling: bool = False  # has it events over HTTP?

    @property
    def options(self) -> tuple[str, ...]:
        # Two threads: one holds a stream, the other answers the request that lets it go on.
        return ("--threads", "2") if self.wsgi else ()


LAST = ("last-modified",)
STARLETTE = "Internal Server Error"
WERKZEUG = "<p>The server encountered an internal error and was unable to complete your request."
BOTTLE = "<title>Error: 500 Internal Server Error</title>"
DJANGO = "<h1>Server Error (500)</h1>"
LITESTAR = '{"status_code":500,"detail":"Internal Server Error"}'
FALCON = '{"title": "500 Internal Server Error"}'

FRAMEWORKS = (
    Framework("Django, ASGI", "django", "django_asgi:application", DJANGO, LAST, ranges=False, sockets=False),
    Framework("Django, WSGI", "django", "django_wsgi:application", DJANGO, LAST, ranges=False, wsgi=True, chunked="unseen"),
    Framework("Channels", "channels", "channels_app:application", DJANGO, LAST, ranges=False),
    Framework("FastAPI", "fastapi", "fastapi_app:app", STARLETTE),
    Framework("Starlette", "starlette", "starlette_app:app", STARLETTE),
    Framework("Quart", "quart", "quart_app:app", WERKZEUG),
    Framework("Sanic", "sanic", "sanic_app:app", "Internal Server Error", LAST, closes=False),
    Framework("Litestar", "litestar", "litestar_app:app", LITESTAR, (), ranges=False),
    Framework("Falcon, ASGI", "falcon", "falcon_asgi:app", FALCON),
    Framework("Falcon, WSGI", "falcon", "falcon_wsgi:application", FALCON, wsgi=True),
    Framework("BlackSheep", "blacksheep", "blacksheep_app:app", "Internal Server Error", ("etag",)),
    Framework("Flask", "flask", "flask_app:app", WERKZEUG, wsgi=True),
    Framework("Bottle", "bottle", "bottle_app:application", BOTTLE, wsgi=True, chunked="refused"),
    Framework("Pyramid", "pyramid", "pyramid_app:app", "It is in the log.", LAST, wsgi=True),
    Framework("python-socketio", "python-socketio", "socketio_app:app", STARLETTE, (), ranges=False, polling=True),
    Framework("FastHTML", "python-fasthtml", "fasthtml_app:app", STARLETTE),
    Framework("NiceGUI", "nicegui", "nicegui_app:main", "Server error"),
    Framework("Tornado", "tornado", "tornado_app:app", "<title>500: Internal Server Error</title>"),
)
