"""What workers share under `--preload` beyond the imports: what Django loads and makes when it answers its first request."""

from wsgiref.util import setup_testing_defaults

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections


def warm_up() -> None:
    # WSGI also for the ASGI site: it needs no event loop and starts no threads, and nearly all it loads is the same.
    environ = {"HTTP_HOST": (settings.ALLOWED_HOSTS or ["localhost"])[0]}
    setup_testing_defaults(environ)  # GET /
    WSGIHandler()(environ, lambda status, headers: None).close()
    connections.close_all()  # those to the database are each worker's own
