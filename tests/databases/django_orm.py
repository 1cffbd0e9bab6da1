"""A Django project in one file, by WSGI and by ASGI, that says which session it was given. KEEP, POOL: how it connects."""

import asyncio
import os
import threading
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path

pool = {"pool": {"min_size": 1, "max_size": int(os.environ["POOL"])}} if os.environ.get("POOL") else {}
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="of a test",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["DATABASE"],
            "USER": "board",
            "HOST": "127.0.0.1",
            "PORT": os.environ["PGPORT"],
            "CONN_MAX_AGE": None if os.environ.get("KEEP") else 0,
            "OPTIONS": {"application_name": "django", **pool},
        }
    },
)
django.setup()


def session(_request: HttpRequest | None = None) -> JsonResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() FROM pg_sleep(0.01)")
        return JsonResponse([os.getpid(), threading.get_ident(), cursor.fetchone()[0]], safe=False)


async def by_async(_request: HttpRequest) -> JsonResponse:
    """An asynchronous view, which asks in a thread as the ORM's `a…` methods do."""
    from asgiref.sync import sync_to_async

    answer: Any = await sync_to_async(session)()
    await asyncio.sleep(0)
    return answer  # type: ignore[no-any-return]


urlpatterns = [path("", session), path("async", by_async)]
wsgi, asgi = get_wsgi_application(), get_asgi_application()
