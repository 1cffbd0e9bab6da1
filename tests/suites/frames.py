"""Messages between a bridge in a worker and a test in the process of the suite, over a unix socket.

A frame is four bytes of length (big-endian) and a pickled tuple. Both ends are ours, in one private folder: nothing here is
meant for bytes from elsewhere.
"""

import builtins
import copyreg
import pickle
from collections.abc import Awaitable, Callable
from typing import IO, Any, NoReturn

HEAD = 4
CALL = "x-bridge-call"  # the request header that says which test an exchange belongs to; no application sees it

# Applications may send views; the other end must see views too, so that the server meets what it would have met.
copyreg.pickle(memoryview, lambda view: (memoryview, (bytes(view),)))


def encode(*message: Any) -> bytes:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(HEAD, "big") + body


async def read(receive_exactly: Callable[[int], Awaitable[bytes]]) -> Any:
    """The next message; what the reader raises at the end of the stream otherwise."""
    size = int.from_bytes(await receive_exactly(HEAD), "big")
    return pickle.loads(await receive_exactly(size))


def read_from(stream: IO[bytes]) -> Any:
    """The next message of a blocking stream; EOFError at its end."""
    size = int.from_bytes(stream.read(HEAD), "big")
    if not size:
        raise EOFError("the other end is gone")
    return pickle.loads(stream.read(size))


def outcome(call: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
    """What a call gave, or what it raised: the end of a message."""
    try:
        return "gave", call(*arguments)
    except Exception as error:
        return "raised", describe(error)


def describe(error: BaseException) -> tuple[str, str]:
    """An exception as its nearest built-in class and its text: the other end has not the module of its own class."""
    builtin = next(base for base in type(error).__mro__ if base.__module__ == "builtins")
    return builtin.__name__, f"{type(error).__name__}: {error}" if builtin is not type(error) else str(error)


def raise_as(kind: str, text: str) -> NoReturn:
    """Raises what `describe` has described."""
    raise getattr(builtins, kind)(text)
