"""Which applications are Tornado's, on which event loop they are imported, and what is said of those that can't start."""

from pathlib import Path

import httpx
import pytest

from harness import StartServer

HERE = Path(__file__).parent


# spec: jobs 6
@pytest.mark.parametrize("options", [(), ("--interface", "tornado")], ids=["found out", "named"])
@pytest.mark.parametrize("target", ["app", "app:router"])
def test_it_is_known(run: StartServer, options: tuple[str, ...], target: str) -> None:
    server = run(*options, target=target)
    server.wait_for(r"ready on .*: app\S*, 1 worker \(tornado, ")
    assert httpx.post(f"{server.url}/wsgi", content=b"x").text == "POST x"
    assert httpx.get(f"{server.url}/request").status_code == 200


# spec: jobs 6
@pytest.mark.parametrize(
    ("options", "target", "loop"),
    [
        (("--interface", "tornado", "--factory"), "app:make_running", "uvloop"),
        (("--interface", "tornado", "--loop", "asyncio"), "app:make_running()", "asyncio"),
        (("--factory",), "app:make_app", "asyncio"),  # it was imported before it was known, and has made its own
        ((), "app:make_app()", "asyncio"),
    ],
)
def test_its_callbacks_run(run: StartServer, options: tuple[str, ...], target: str, loop: str) -> None:
    server = run(*options, target=target)
    server.wait_for(rf"\(tornado, {loop}\)")
    assert httpx.get(server.url).text == loop


EDITED = """
import asyncio, os
from tornado import web
from tornado.ioloop import PeriodicCallback


class Looks(web.RequestHandler):
    async def get(self):
        looks = asyncio.Queue()
        callback = PeriodicCallback(lambda: looks.put_nowait(None), 500)  # as often as Tornado looks at its files
        callback.start()
        for _ in range(3):
            await looks.get()
        callback.stop()
        self.write(str(os.getpid()))


app = web.Application([("/pid", Looks)], debug=True)
"""


# spec: jobs 6
def test_autoreload_leaves_the_worker_alone(run: StartServer, tmp_path: Path) -> None:
    (tmp_path / "edited.py").write_text(EDITED)
    server = run("--interface", "tornado", target="edited", app_dir=tmp_path)
    before = httpx.get(f"{server.url}/pid").text
    (tmp_path / "edited.py").write_text(EDITED + "\n")
    assert httpx.get(f"{server.url}/pid").text == before


# spec: jobs 6
def test_two_workers_and_preload(run: StartServer) -> None:
    server = run("--workers", "2", "--preload")
    server.wait_for(r"2 workers \(tornado, ")
    assert httpx.get(f"{server.url}/coroutine").status_code == 200


# spec: jobs 6
@pytest.mark.parametrize(
    ("options", "target", "said"),
    [
        (
            ("--interface", "tornado"),
            "app:plain",
            "can't start `app:plain` as a Tornado application: a function is none\n"
            "hint: expected a `tornado.web.Application`, or another `HTTPServerConnectionDelegate`; "
            "if it returns one, `--factory` calls it",
        ),
        (
            ("--preload", "--factory"),
            "app:make_app",
            "can't preload `app:make_app`: its import has used IOLoop.current(), and workers can't share an event loop",
        ),
        (
            ("--loop", "uvloop"),
            "app:make_app()",
            "can't start `app:make_app()` on `uvloop`: its import has made an event loop by IOLoop.current()\n"
            "hint: with `--interface tornado` it is imported on the right one",
        ),
    ],
)
def test_what_can_not_start_says_why(launch: StartServer, options: tuple[str, ...], target: str, said: str) -> None:
    server = launch(target, "--app-dir", str(HERE), "--port", "0", *options)
    assert server.wait() == 3
    assert said in server.output()


# spec: jobs 6
@pytest.mark.parametrize(
    ("fake", "said"),
    [
        ("absent", "can't start `app:app`: Tornado is not installed for "),
        ("old", "can't start `app:app`: Tornado 6.3.3 is installed; the oldest that awaitd runs is 6.4"),
    ],
)
def test_tornado_is_not_there(launch: StartServer, fake: str, said: str) -> None:
    server = launch(
        *("app:app", "--app-dir", str(HERE), "--port", "0", "--interface", "tornado"),
        env={"PYTHONPATH": str(HERE / "fakes" / fake)},
    )
    assert server.wait() == 3
    assert said in server.output()
    assert "pip install" in server.output()
