"""Targets: what is found, and what the user reads when it is not."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("target", "setup", "interface"),
    [
        ("hello:app", {}, "asgi3"),
        ("hello", {}, "asgi3"),
        ("hello:wsgi", {}, "wsgi"),
        ("wsgi:hello:wsgi", {}, "wsgi"),
        ("asgi:hello:app", {}, "asgi3"),
        ("asgi:app", {}, "asgi3"),  # the module asgi, not the prefix
        ("asgi:double", {}, "asgi2"),
        ("asgi:instance", {}, "asgi3"),
        ("asgi:Awaitable", {}, "asgi3"),
        ("wsgi:app", {}, "wsgi"),
        ("wsgi:validated", {}, "wsgi"),
        ("wsgi:ClassStyle", {}, "wsgi"),
        ("targets.decorated:asgi", {}, "asgi3"),
        ("targets.decorated:wsgi", {}, "wsgi"),
        ("targets.decorated:responding", {}, "wsgi"),
        ("targets.plain", {}, "asgi3"),
        ("targets.plain:site.app", {}, "asgi3"),
        ("targets.plain:create()", {}, "asgi3"),
        ("targets.plain:create('y', debug=True)", {}, "asgi3"),
        ("targets.plain:create", {"factory": True}, "asgi3"),
        ("targets.factory", {}, "asgi3"),
        ("plain", {"app_dir": "targets"}, "asgi3"),
    ],
)
def test_targets(start, target, setup, interface):
    # spec: wsgi 11
    assert start(target, **setup).ready().info["interface"] == interface


@pytest.mark.parametrize(
    ("target", "message", "hint"),
    [
        ("hallo:app", "no module named `hallo`", "did you mean `hello:app`?"),
        ("zzz:app", "no module named `zzz`", None),
        ("targets.plian:application", "no module named `targets.plian`", "did you mean `targets.plain:application`?"),
        ("hello.py", "no module named `hello.py`", "name the module, not its file: `main:app` for `main.py`"),
        ("targets.plain:app", "module `targets.plain` has no attribute `app`",
         "`targets.plain` defines `application`; did you mean `targets.plain:application`?"),
        ("targets.plain:site.ap", "`site` has no attribute `ap`", ""),
        ("targets.nothing", "module `targets.nothing` has none of `app`, `application`, `create_app`", ""),
        ("targets.nothing:application", "module `targets.nothing` has no attribute `application`",
         "`targets.nothing` defines `aplication`; did you mean `targets.nothing:aplication`?"),
        ("targets.plain:number", "`number` is no application: a int can't be called", ""),
        ("targets.plain:create('y')", "`create` is no application: a int can't be called", ""),
        ("targets.plain:number()", "`number` is no factory: a int can't be called", ""),
        ("hello:app;", "expected a name, or a call with literal arguments, after the colon", ""),
        ("hello:make(x)", "expected a name, or a call with literal arguments, after the colon", ""),
        ("a b:c", "expected `module` or `module:attribute`", ""),
    ],
)  # fmt: skip
def test_what_is_not_there(start, target, message, hint):
    # spec: process 1
    worker = start(target)
    failed = worker.message("failed")
    assert (failed["stage"], failed["traceback"]) == ("import", "")
    assert failed["message"] == f"can't import `{target}`: {message}"
    assert hint is None or failed["hint"] == hint
    assert worker.wait() == 3
    assert worker.output() == ""


def test_a_module_that_fails_shows_its_own_traceback(start):
    # spec: process 1
    failed = start("targets.broken:app").message("failed")
    assert failed["message"] == (
        "can't import `targets.broken:app`: module `targets.broken` failed: "
        "ModuleNotFoundError: No module named 'there_is_no_such_module'"
    )
    lines = failed["traceback"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith('targets/broken.py", line 1, in <module>')
    assert "importer" not in failed["traceback"]
    assert "importlib" not in failed["traceback"]


def test_a_syntax_error(start, tmp_path):
    (tmp_path / "main.py").write_text("def app(:\n")
    failed = start("main:app", app_dir=str(tmp_path)).message("failed")
    assert "module `main` failed: SyntaxError: " in failed["message"]
    assert f'File "{tmp_path}/main.py", line 1' in failed["traceback"]


def test_a_module_that_exits(start):
    failed = start("targets.exits:app").message("failed")
    assert failed["message"] == "can't import `targets.exits:app`: module `targets.exits` failed: SystemExit: no configuration"


def test_a_factory_that_fails(start):
    failed = start("targets.plain:create('fail')").message("failed")
    assert failed["message"] == "can't import `targets.plain:create('fail')`: `create()` failed: RuntimeError: no settings"
    assert "in create" in failed["traceback"]
