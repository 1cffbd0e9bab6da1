"""A room of WebSockets: a request to /say tells everyone its query, and answers with what came of it."""

from __future__ import annotations

import json

from awaitd import broadcast

ROOM = {}


class Connection:
    """As frameworks have them."""

    def __init__(self, scope):
        self.scope = scope


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await member(scope, receive, send)
    elif scope["type"] == "http":
        said = scope["query_string"].decode()
        try:
            result = CASES[scope["path"]](said)
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": json.dumps(result).encode()})


async def member(scope, receive, send):
    """Joins under its path; what a member sends comes back to it, as often as it says."""
    await receive()
    ROOM[scope["path"]] = scope
    if scope["path"] == "/pending":
        await receive()
        return
    await send({"type": "websocket.accept"})
    if scope["path"] == "/closes":
        await send({"type": "websocket.close"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def names(scopes):
    return [scope["path"] for scope in scopes]


def text(said):
    return names(broadcast(ROOM.values(), said))


def binary(said):
    return names(broadcast(list(ROOM.values()), bytearray(said.encode())))


def large(said):
    return names(broadcast(list(ROOM.values()), said * 100_000))


def twice(said):
    return [names(broadcast([*ROOM.values(), *ROOM.values()], said)), names(broadcast(ROOM.values(), said))]


def objects(said):
    return [connection.scope["path"] for connection in broadcast(map(Connection, ROOM.values()), said)]


def nobody(said):
    return broadcast((), said)


def copies(said):
    """As middleware makes them."""
    return names(broadcast([{**scope, "extensions": {**scope["extensions"]}} for scope in ROOM.values()], said))


def mistakes(said):
    errors = []
    scope = next(iter(ROOM.values()))
    other = {**scope, "extensions": {"awaitd.broadcast": 1}}
    wrong = [[[scope], 7], [[scope], None], [[7], said], [[{}], said], [None, said], [[scope]], [[other], said]]
    for arguments in wrong:
        try:
            broadcast(*arguments)
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
    return errors


def surrogate(said):
    return broadcast(ROOM.values(), "\ud800")


CASES = {"/" + case.__name__: case for case in (text, binary, large, twice, objects, nobody, copies, mistakes, surrogate)}
