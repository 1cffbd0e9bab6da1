"""The settings, and the views that are the same whether the project is served as ASGI or as WSGI."""

import hashlib
import json
import os

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST
from django.views.static import serve


def setup(urlconf: str) -> None:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DEBUG=False,
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF=urlconf,
        SECRET_KEY="of a test",
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    )
    django.setup()


@require_GET
def hello(_request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(f"Hello, {name}!", content_type="text/plain")


@require_GET
def square(_request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(str(number**2), content_type="text/plain")


@require_GET
def search(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"q": request.GET["q"], "tags": request.GET.getlist("tag")})


@require_POST
def form(request: HttpRequest) -> JsonResponse:
    return JsonResponse(request.POST.dict())


@require_POST
def upload(request: HttpRequest) -> JsonResponse:
    file, digest = request.FILES["file"], hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse(
        {"name": file.name, "size": file.size, "sha256": digest.hexdigest(), "note": request.POST["note"]},
    )


@require_POST
def echo(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"got": json.loads(request.body)})


@require_POST
def login(request: HttpRequest) -> HttpResponse:
    request.session["user"] = request.POST["user"]
    response = HttpResponse(status=204)
    response.set_cookie("theme", "dark")
    return response


@require_GET
def me(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": request.session.get("user"), "theme": request.COOKIES.get("theme")})


@require_GET
def old(request: HttpRequest) -> HttpResponse:
    return redirect(request.build_absolute_uri(reverse("hello", args=["world"])))


@require_GET
def fail(_request: HttpRequest) -> HttpResponse:
    raise RuntimeError("of the test")


urlpatterns = [
    path("hello/<name>", hello, name="hello"),
    path("square/<int:number>", square),
    path("search", search),
    path("form", form),
    path("upload", upload),
    path("json", echo),
    path("login", login),
    path("me", me),
    path("old", old),
    path("fail", fail),
    path("static/<path:path>", serve, {"document_root": os.environ["STATIC"]}),
]
