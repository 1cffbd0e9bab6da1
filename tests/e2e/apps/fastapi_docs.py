"""After the FastAPI pages on background tasks, custom and streaming responses, JSON Lines and Server-Sent Events.

Each example's pause is a gate: POST /gates/{name} opens it.
"""

import tempfile
from collections.abc import AsyncIterable, Iterator
from pathlib import Path
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, Header
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from gate import AsyncGates, ThreadGates

app = FastAPI()
gates = AsyncGates()
thread_gates = ThreadGates()
log = Path(tempfile.mkdtemp()) / "log.txt"
log.touch()
video = log.with_name("large-video-file.mp4")
video.write_bytes(bytes(range(256)) * 4096 * 4)


class Item(BaseModel):
    name: str
    description: str | None = None


ITEMS = [Item(name="Plumbus", description="For every household"), Item(name="Portal Gun"), Item(name="Meeseeks Box")]


@app.post("/gates/{name}", status_code=204)
async def open_gate(name: str) -> None:
    gates.open(name)
    thread_gates.open(name)


def write_notification(email: str, message: str = "") -> None:
    thread_gates.wait(f"notify {email}")
    write_log(f"notification for {email}: {message}")


def write_log(line: str) -> None:
    with log.open("a") as file:
        file.write(f"{line}\n")


def note_query(tasks: BackgroundTasks, q: str | None = None) -> str | None:
    """A dependency may add work too; it runs first, having been added first."""
    if q:
        tasks.add_task(write_log, f"found query: {q}")
    return q


@app.post("/send-notification/{email}")
async def send_notification(email: str, tasks: BackgroundTasks, q: Annotated[str | None, Depends(note_query)]) -> dict:
    tasks.add_task(write_notification, email, message="some notification")
    tasks.add_task(say_done, f"notified {email}")
    return {"message": "Notification sent in the background"}


async def say_done(name: str) -> None:
    gates.open(name)


@app.get("/log")
async def read_log(after: str | None = None) -> list[str]:
    if after:
        await gates.wait(after)
    return log.read_text().splitlines()


@app.get("/video")
def stream_video() -> StreamingResponse:
    def pieces() -> Iterator[bytes]:
        with video.open("rb") as file:
            yield from file

    return StreamingResponse(pieces(), media_type="video/mp4")


@app.get("/items/lines")
async def items_as_json_lines() -> AsyncIterable[Item]:
    for item in ITEMS:
        yield item
        await gates.wait(f"line {item.name}")


@app.get("/items/events", response_class=EventSourceResponse)
async def items_as_events(last_event_id: Annotated[int | None, Header()] = None) -> AsyncIterable[ServerSentEvent]:
    start = 0 if last_event_id is None else last_event_id + 1
    for number, item in enumerate(ITEMS[start:], start):
        yield ServerSentEvent(data=item, event="item", id=str(number), retry=5000)
        await gates.wait(f"event {item.name}")
