"""Applications of every form, and what each is."""

import functools
from wsgiref.validate import validator


def _answer(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"wsgi"]


async def _send(send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"asgi"})


def wsgi_function(environ, start_response):
    return _answer(environ, start_response)


def wsgi_generator(environ, start_response):
    yield from _answer(environ, start_response)


wsgi_lambda = lambda environ, start_response: _answer(environ, start_response)  # noqa: E731


def wsgi_with_default(environ, start_response, more=None):
    return _answer(environ, start_response)


def wsgi_of_any_arguments(*args, **kwargs):
    return _answer(*args)


def _three(first, environ, start_response):
    return _answer(environ, start_response)


def _decorated(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


wsgi_partial = functools.partial(_three, 1)
wsgi_partial_keyword = functools.partial(wsgi_with_default, more=1)
wsgi_decorated = _decorated(wsgi_function)
wsgi_validated = validator(wsgi_function)


class wsgi_class:
    def __init__(self, environ, start_response):
        self.body = _answer(environ, start_response)

    def __iter__(self):
        return iter(self.body)


class _Wsgi:
    def __call__(self, environ, start_response):
        return _answer(environ, start_response)

    def method(self, environ, start_response):
        return _answer(environ, start_response)

    @staticmethod
    def static(environ, start_response):
        return _answer(environ, start_response)

    @classmethod
    def of_class(cls, environ, start_response):
        return _answer(environ, start_response)


wsgi_instance = _Wsgi()
wsgi_method = wsgi_instance.method
wsgi_static = _Wsgi.static
wsgi_class_method = _Wsgi.of_class
wsgi_middleware = (lambda app: lambda *args: app(*args))(_Wsgi())


async def asgi_function(scope, receive, send):
    await _send(send)


asgi_partial = functools.partial(lambda first, scope, receive, send: _send(send), 1)
asgi_decorated = _decorated(asgi_function)


def asgi_that_is_not_async(scope, receive, send):
    return _send(send)


class _Asgi:
    async def __call__(self, scope, receive, send):
        await _send(send)


asgi_instance = _Asgi()
asgi_partial_instance = functools.partial(_Asgi())


class asgi_class:
    def __init__(self, scope, receive, send):
        self.send = send

    def __await__(self):
        return _send(self.send).__await__()


def asgi2_function(scope):
    async def inner(receive, send):
        await _send(send)

    return inner


class asgi2_class:
    def __init__(self, scope):
        pass

    async def __call__(self, receive, send):
        await _send(send)


def misleading_asgi(*args):
    return asgi_function(*args)


def misleading_wsgi(environ, start_response, required):
    return []


async def misleading_async(environ, start_response):
    return []


async def awaits(environ, start_response):
    return []


def mistake():
    pass


def mistaken(environ, start_response):
    mistake(1)
