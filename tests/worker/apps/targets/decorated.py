"""Decorators that take `*args`: the signature that Python shows is that of the function inside."""

import functools


def passing(function):
    @functools.wraps(function)
    def application(*args):
        return function(*args)

    return application


def responder(function):
    """As Werkzeug's `Request.application`: one argument for the function, two for the server."""

    @functools.wraps(function)
    def application(*args):
        environ, start_response = args
        return function(environ)(environ, start_response)

    return application


@passing
async def asgi(scope, receive, send):
    pass


@passing
def wsgi(environ, start_response):
    return []


@responder
def responding(request):
    return wsgi
