"""A message board, the application this project grows with. Run it: awaitd main:app --app-dir examples/board"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypedDict

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

import api
import pages
from board import Board, BoardDependency
from letters import Letters
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
        await board.database.create_tables(settings.data / "start.lock")
        await board.feed.start()
        await board.chat.start()
        terminal.chat, letters.board = board.chat, board
        yield {"board": board}
    finally:
        terminal.chat = letters.board = None
        await board.chat.stop()
        await board.feed.stop()
        await board.database.close()


#: The chat for terminals: awaitd … --bind tcp://127.0.0.1:8001=main:terminal
terminal = Terminal()

#: Posts by mail: awaitd … --bind smtp://127.0.0.1:8025=main:letters
letters = Letters()

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


@app.get("/healthz", tags=["health"])
async def healthz(board: BoardDependency) -> dict[str, str]:
    """Healthy means that the database answers."""
    await board.newest_id()
    return {"status": "ok"}
