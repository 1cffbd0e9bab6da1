"""Answers every request with what it was, as the application sees it."""

import json


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    seen = {
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "version": scope["http_version"],
        "fields": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        "content": body.decode("latin-1"),
    }
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


async def peer(scope, receive, send):
    """Answers with who the client is."""
    if scope["type"] != "http":
        return
    client, server = scope["client"] or (None, None), scope["server"]
    host = next((value.decode() for name, value in scope["headers"] if name == b"host"), None)
    seen = {"client": client[0], "port": client[1], "server": server[0], "scheme": scope["scheme"], "host": host}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


def wsgi_peer(environ, start_response):
    seen = {
        "client": environ["REMOTE_ADDR"],
        "port": int(environ["REMOTE_PORT"]),
        "server": environ["SERVER_NAME"],
        "scheme": environ["wsgi.url_scheme"],
        "host": environ["HTTP_HOST"],
    }
    start_response("200 OK", [])
    return [json.dumps(seen).encode()]
