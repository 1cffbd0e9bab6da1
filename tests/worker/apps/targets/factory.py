async def _app(scope, receive, send):
    pass


def create_app():
    return _app
