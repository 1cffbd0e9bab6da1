"""The board for people: one page that works without JavaScript, and gets live with it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, BackgroundTasks, Form, Header, HTTPException, Query, Request, Response, UploadFile, WebSocket
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.templating import Jinja2Templates
from pydantic import ValidationError
from pydantic_core import ErrorDetails

import attachments
from board import Board, BoardDependency
from database import Unavailable
from notify import tell_moderators
from schemas import MAX_ID, LineIn, MessageIn

PAGE = 30

router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(Path(__file__).parent / "templates")
templates.env.trim_blocks = templates.env.lstrip_blocks = True
templates.env.globals |= {"limits": attachments, "pictures": attachments.PICTURES}

Id = Annotated[int, Query(ge=0, le=MAX_ID)]


@router.get("/", response_class=HTMLResponse)
async def show(request: Request, board: BoardDependency, before: Id | None = None) -> Response:
    return await _render(request, board, before=before)


@router.post(
    "/",
    response_class=HTMLResponse,
    max_body_size=attachments.MAX_FORM_BYTES,
    form_limits={"max_fields": 2, "max_files": attachments.MAX_FILES},
)
async def submit(
    request: Request,
    board: BoardDependency,
    tasks: BackgroundTasks,
    author: Annotated[str, Form()] = "",
    body: Annotated[str, Form()] = "",
    files: Annotated[list[UploadFile], Form()] = [],  # noqa: B006 (FastAPI copies it)
) -> Response:
    uploads = [upload for upload in files if upload.filename]  # an empty file field is sent as a file without a name
    errors = {}
    if large := [f"“{attachments.clean_name(upload.filename)}”" for upload in uploads if attachments.too_large(upload)]:
        errors["files"] = f"Larger than {attachments.MAX_FILE_BYTES >> 20} MB: {', '.join(large)}."
    try:
        message = MessageIn(author=author, body=body)
    except ValidationError as invalid:
        errors |= {str(error["loc"][0]): _in_plain_words(error) for error in invalid.errors()}
    if errors:
        return await _render(request, board, form={"author": author, "body": body}, errors=errors)

    posted = await board.post(message, uploads)
    tasks.add_task(tell_moderators, board.settings.notifications, posted)
    return RedirectResponse(f"./#message-{posted.id}", status_code=303)


@router.get("/live", response_class=EventSourceResponse)
async def live(
    board: BoardDependency, after: Id = 0, last_event_id: Annotated[int | None, Header(ge=0, le=MAX_ID)] = None
) -> AsyncIterator[ServerSentEvent]:
    """Each new message as the piece of HTML that the page puts on top of its list.

    `after` is the newest message on the page; a browser that lost the connection says in Last-Event-ID how far it came.
    """
    yield ServerSentEvent(comment="connected", retry=1000)
    item = templates.get_template("message.html")
    async for message in board.feed.rows(after if last_event_id is None else last_event_id):
        yield ServerSentEvent(id=str(message.id), raw_data=item.render(message=message))


@router.get("/figures", response_class=EventSourceResponse)
async def figures(board: BoardDependency) -> AsyncIterator[ServerSentEvent]:
    """What came by datagram: all of it, as JSON, whenever some has changed."""
    yield ServerSentEvent(comment="connected", retry=1000)
    async for shown in board.meter.figures():
        yield ServerSentEvent(data=[figure.model_dump() for figure in shown])


@router.websocket("/chat")
async def chat(connection: WebSocket, board: BoardDependency, after: Id = 0) -> None:
    """Lines as JSON, both ways. `after` is the last one that a page which comes again has seen."""
    if not _from_here(connection):
        await connection.close()  # before it is accepted: 403
        return
    await connection.accept()
    try:
        await board.chat.join(connection, after)
        while (message := await connection.receive())["type"] == "websocket.receive":
            try:
                line = LineIn.model_validate_json(message.get("text") or "")  # a binary message has none
            except ValidationError:
                await connection.send_json({"error": "A name has up to 40 characters, and what is said 1 to 500."})
                continue
            try:
                await board.chat.say(line)
            except Unavailable:
                await connection.send_json({"error": "That was not kept. Please say it again in a moment."})
    finally:
        board.chat.leave(connection)


def _from_here(connection: WebSocket) -> bool:
    """Whether the page is this site's own: browsers let every page open a WebSocket to every site, and say which page it is."""
    origin = connection.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == connection.headers.get("host")


@router.get("/files/{attachment_id}", response_class=FileResponse)
async def download(attachment_id: Annotated[int, PathParameter(ge=1, le=MAX_ID)], board: BoardDependency) -> Response:
    attachment = await board.attachment(attachment_id)
    if attachment is None or not (path := board.settings.files / attachment.stored_as).is_file():
        raise HTTPException(404, "no such file")
    return FileResponse(
        path,
        media_type=attachment.content_type,
        filename=attachment.name,
        content_disposition_type="inline" if attachment.content_type in attachments.PICTURES else "attachment",
        headers={
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "public, max-age=31536000, immutable",  # an attachment never changes
        },
    )


def _in_plain_words(error: ErrorDetails) -> str:
    match error["type"]:
        case "string_too_short":
            return "Please fill this in."
        case "string_too_long":
            return f"Please use at most {error['ctx']['max_length']:,} characters."
        case _:
            return "Please use printable characters only."


async def _render(
    request: Request,
    board: Board,
    before: int | None = None,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> Response:
    page = await board.page(before, PAGE)
    context = {"page": page, "before": before, "form": form or {}, "errors": errors or {}}
    return templates.TemplateResponse(request, "board.html", context, status_code=422 if errors else 200)
