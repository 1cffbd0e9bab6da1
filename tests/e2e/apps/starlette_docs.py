"""After starlette.io/responses and starlette.io/background. Each example's pause is a gate: POST /gates/{name} opens it."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gate import AsyncGates

gates = AsyncGates()
done: list[str] = []
served = Path(tempfile.mkdtemp()) / "numbers.txt"
served.write_bytes(b"".join(b"%07d\n" % n for n in range(200_000)))


async def slow_numbers(minimum: int, maximum: int) -> AsyncIterator[str]:
    yield "<html><body><ul>"
    for number in range(minimum, maximum + 1):
        yield f"<li>{number}</li>"
        await gates.wait(f"number-{number}")
    yield "</ul></body></html>"


async def numbers(_request: Request) -> Response:
    return StreamingResponse(slow_numbers(1, 3), media_type="text/html")


async def file(_request: Request) -> Response:
    return FileResponse(served, filename="numbers.txt")


async def signup(request: Request) -> Response:
    data = await request.json()
    task = BackgroundTask(send_welcome_email, to_address=data["email"])
    return JSONResponse({"status": "Signup successful"}, background=task)


async def signup_with_two_tasks(request: Request) -> Response:
    data = await request.json()
    tasks = BackgroundTasks()
    tasks.add_task(send_welcome_email, to_address=data["email"])
    tasks.add_task(send_admin_notification, username=data["username"])
    return JSONResponse({"status": "Signup successful"}, background=tasks)


async def send_welcome_email(to_address: str) -> None:
    await gates.wait(to_address)
    done.append(f"welcome {to_address}")
    gates.open(f"welcome {to_address}")


async def send_admin_notification(username: str) -> None:
    done.append(f"admin {username}")
    gates.open(f"admin {username}")


async def open_gate(request: Request) -> Response:
    gates.open(request.path_params["name"])
    return Response(status_code=204)


async def what_is_done(request: Request) -> Response:
    """The list; with ?after=NAME only once that gate is open."""
    if name := request.query_params.get("after"):
        await gates.wait(name)
    return JSONResponse(done)


app = Starlette(
    routes=[
        Route("/numbers", numbers),
        Route("/file", file),
        Route("/user/signup", signup, methods=["POST"]),
        Route("/user/signup2", signup_with_two_tasks, methods=["POST"]),
        Route("/gates/{name}", open_gate, methods=["POST"]),
        Route("/done", what_is_done),
    ]
)
