"""A WSGI application whose files must go through the server's `wsgi.file_wrapper`: else a download is an error."""

from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def wrapped(application: Application) -> Application:
    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith("/download/"):
            return application(environ, start_response)
        made: list[object] = []
        servers_own = environ["wsgi.file_wrapper"]

        def file_wrapper(*arguments: Any) -> Any:
            made.append(servers_own(*arguments))
            return made[-1]

        answer = application(environ | {"wsgi.file_wrapper": file_wrapper}, start_response)
        if not made or answer is not made[-1]:
            raise AssertionError(f"{answer!r} is not what wsgi.file_wrapper gave")
        return answer

    return checked
