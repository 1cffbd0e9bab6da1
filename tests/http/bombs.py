"""Takes WebSockets and says over HTTP what came on them."""

import json

SEEN = []


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        SEEN.append("accepted")
        while (message := await receive())["type"] == "websocket.receive":
            SEEN.append(len(message["bytes"]))
        SEEN.append([message["code"], message.get("reason")])
        return
    if scope["type"] == "http":
        body = json.dumps(SEEN).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
