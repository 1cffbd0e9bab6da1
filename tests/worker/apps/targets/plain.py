async def application(scope, receive, send):
    """The usual name of Django."""


def create(name="x", *, debug=False):
    if name == "fail":
        raise RuntimeError("no settings")
    return application if debug or name == "x" else 5


class Site:
    app = application


site = Site()
number = 5
