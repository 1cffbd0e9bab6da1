"""The board for programs: JSON in, JSON out, and all of it as one stream."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, HTTPException, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from board import BoardDependency
from notify import tell_moderators
from schemas import MAX_ID, MessageIn, MessageOut, MessagePage

router = APIRouter(tags=["messages"])


@router.get("/api/messages")
async def list_messages(
    board: BoardDependency,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID, description="only messages older than this id")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> MessagePage:
    return await board.page(before, limit)


@router.post("/api/messages", status_code=201, max_body_size=64 * 1024)
async def post_message(
    message: MessageIn, board: BoardDependency, tasks: BackgroundTasks, request: Request, response: Response
) -> MessageOut:
    posted = await board.post(message)
    tasks.add_task(tell_moderators, board.settings.notifications, posted)
    response.headers["Location"] = str(request.url_for("get_message", message_id=posted.id))
    return posted


@router.get("/api/messages/{message_id}", responses={404: {"description": "no such message"}})
async def get_message(message_id: Annotated[int, Path(ge=1, le=MAX_ID)], board: BoardDependency) -> MessageOut:
    if message := await board.get(message_id):
        return message
    raise HTTPException(404, "no such message")


@router.get("/export.ndjson", response_class=StreamingResponse)
async def export(board: BoardDependency) -> StreamingResponse:
    """Every message, oldest first, one JSON object a line."""
    headers = {"Content-Disposition": 'attachment; filename="board.ndjson"'}
    return StreamingResponse(board.export(), media_type="application/x-ndjson", headers=headers)
