"""A WSGI application that uses its database while it is imported. HOOK: with the line of server-behavior.md about it."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import awaitd
from sqlalchemy import create_engine, text

engine = create_engine(os.environ["URL"].replace("postgresql:", "postgresql+psycopg:"), pool_size=1, max_overflow=0)
with engine.connect() as connection:
    connection.execute(text("SELECT 1"))
if os.environ.get("HOOK"):
    awaitd.after_fork(lambda: engine.dispose(close=False))


def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The worker, and the session that its next query would use. Nothing is asked: two that share one mix their bytes up."""
    with engine.connect() as connection:
        session = connection.connection.dbapi_connection.info.backend_pid
    start_response("200 OK", [])
    return [f"{os.getpid()} {session}".encode()]
