"""--interface auto: what an application is taken for, and what is said when that was wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCE = (Path(__file__).parent / "apps/targets/forms.py").read_text()
FORMS = re.findall(r"^(?:async def |def |class )?((?:wsgi|asgi2?)_\w+)", SOURCE, re.M)
DOUBT = "if it is something else, --interface (wsgi, asgi3, asgi2, tornado) says what"


def test_there_are_forms():
    assert len(FORMS) > 20


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("how", ["auto", "named"])
def test_every_form_is_told_by_its_looks(start, name, how):
    # spec: wsgi 11
    interface = {"wsgi": "wsgi", "asgi": "asgi3", "asgi2": "asgi2"}[name.partition("_")[0]]
    worker = start(f"targets.forms:{name}", interface=interface if how == "named" else "auto").ready()
    assert worker.info["interface"] == interface
    assert worker.get("/")[2] == interface[:4]


def test_tornado_is_told_by_its_class_and_not_imported_for_it(start, tmp_path):
    # spec: jobs 6
    (tmp_path / "plain.py").write_text(
        "import sys\n"
        "def wsgi(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [repr('tornado' in sys.modules).encode()]\n"
    )
    assert start("plain:wsgi", app_dir=str(tmp_path)).ready().get("/")[2] == "False"


@pytest.mark.parametrize(
    ("name", "interface", "said"),
    [
        ("misleading_asgi", "auto", "asgi_function() missing 1 required positional argument: 'send'"),
        ("misleading_wsgi", "auto", "the application must return an awaitable, got list"),
        ("misleading_async", "auto", "misleading_async() takes 2 positional arguments but 3 were given"),
        ("wsgi_function", "asgi3", "wsgi_function() takes 2 positional arguments but 3 were given"),
        ("wsgi_function", "asgi2", "missing 1 required positional argument: 'start_response'"),
        ("asgi_function", "wsgi", "asgi_function() missing 1 required positional argument: 'send'"),
        ("asgi2_class", "wsgi", "takes 2 positional arguments but 3 were given"),
    ],
)
def test_a_wrong_guess_names_the_setting(start, name, interface, said):
    # spec: wsgi 11
    worker = start(f"targets.forms:{name}", interface=interface).ready()
    assert worker.open("/").next()["type"] == "RESET"
    while DOUBT not in worker.output():
        pass
    assert said in worker.output()


def test_an_asynchronous_answer_names_the_setting(start):
    # spec: wsgi 11
    worker = start("wsgi:targets.forms:awaits").ready()
    assert worker.open("/").next()["type"] == "RESET"
    assert "it is asynchronous, and was taken for WSGI: --interface asgi3 says what it is" in worker.output()
    assert "never awaited" not in worker.output()


def test_other_mistakes_name_it_not(start):
    worker = start("targets.forms:mistaken", interface="wsgi").ready()
    assert worker.open("/").next()["type"] == "RESET"
    assert "mistake() takes 0 positional arguments but 1 was given" in worker.output()
    assert DOUBT not in worker.output()
