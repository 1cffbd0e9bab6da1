"""A message board, the application this project grows with. Run it: awaitd main:app --app-dir examples/board"""

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypedDict

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles

import api
import pages
from board import Board, BoardDependency
from database import Unavailable
from letters import Letters
from meter import Door
from security import SecurityHeaders
from settings import Settings
from terminal import Terminal


class State(TypedDict):
    """What each request finds in `request.state`."""

    board: Board


@contextlib.asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
    settings = Settings.from_environment()
    settings.files.mkdir(parents=True, exist_ok=True)
    board = Board(settings)
    try:
        await board.open()
        terminal.chat, letters.board, meter.meter = board.chat, board, board.meter
        yield {"board": board}
    finally:
        terminal.chat = letters.board = meter.meter = None
        await board.close()


#: The chat for terminals: awaitd … --bind tcp://127.0.0.1:8001=main:terminal
terminal = Terminal()

#: Posts by mail: awaitd … --bind smtp://127.0.0.1:8025=main:letters
letters = Letters()

#: Figures by datagram: awaitd … --bind udp://127.0.0.1:8026=main:meter
meter = Door()

# The interactive API pages load their scripts from elsewhere, so they are off; /openapi.json says the same.
app = FastAPI(title="Board", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
app.add_middleware(SecurityHeaders)
app.include_router(pages.router)
app.include_router(api.router)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")


@app.exception_handler(RequestValidationError)
async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    """FastAPI's own answer without the echo of the input, which may be long, secret, or not even valid Unicode."""
    problems = [{key: problem[key] for key in ("type", "loc", "msg")} for problem in error.errors()]
    return JSONResponse({"detail": problems}, status_code=422)


@app.exception_handler(Unavailable)
async def unavailable(request: Request, error: Unavailable) -> Response:
    """The database restarts, or every connection is taken. A post whose COMMIT was not answered may have been kept."""
    logging.getLogger("board").warning("%s %s: %s", request.method, request.url.path, error)
    response: Response
    if "text/html" in request.headers.get("accept", ""):
        response = pages.templates.TemplateResponse(request, "unavailable.html", status_code=503)
    else:
        response = JSONResponse({"detail": "the database does not answer; please try again"}, status_code=503)
    response.headers["Retry-After"] = "1"
    return response


@app.get("/healthz", tags=["health"])
async def healthz(board: BoardDependency) -> dict[str, str]:
    """Healthy means that the database answers."""
    await board.database.newest("message")
    return {"status": "ok"}
