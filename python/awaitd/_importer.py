"""Find the application that a target names: ``main:app``, ``main``, ``pkg.main:site.app``, ``main:make("x", debug=True)``."""

from __future__ import annotations

import ast
import difflib
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any

from ._errors import StartupError
from ._interface import is_tornado

#: What a module alone is searched for; the last is called.
USUAL_NAMES = ("app", "application", "create_app")
_FACTORY = "create_app"

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


@dataclass(frozen=True)
class Target:
    """A target, taken apart. ``call`` is the text of a call's arguments, parsed; ``None``: nothing is called."""

    text: str
    module: str
    attribute: str
    call: tuple[list[Any], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Application:
    """What was found, and the interface if the target's prefix names one."""

    callable: Callable[..., Any]
    interface: str
    target: str


def load(text: str, app_dir: str, factory: bool, interface: str, needs_callable: bool = True) -> Application:
    """Import the application, or something else that is not called. Raises ``StartupError`` in the words the user reads."""
    path = os.path.abspath(app_dir or os.curdir)
    if path not in sys.path[:1]:
        sys.path.insert(0, path)
    interface, target = parse(text, interface)
    module = _import(target, path)
    found = _find(module, target)
    if target.call is not None:
        found = _call(target, found, *target.call)
    elif factory or (not target.attribute and not hasattr(module, "app") and not hasattr(module, "application")):
        found = _call(target, found, [], {})
    if needs_callable and not callable(found) and not is_tornado(found):  # its routers can't be called
        raise _failure(
            target, f"`{target.attribute or _guess(module)}` is no application: a {type(found).__name__} can't be called"
        )
    return Application(found, interface, target.text)


def parse(text: str, interface: str) -> tuple[str, Target]:
    """Split a target into its interface and its parts."""
    prefix, _, rest = text.partition(":")
    if prefix in ("asgi", "wsgi") and ":" in rest:
        interface = "wsgi" if prefix == "wsgi" else "asgi3" if interface == "auto" else interface
        text = rest
    module, _, attribute = text.partition(":")
    name, call = _parse_call(text, attribute)
    if not module or not all(part.isidentifier() for part in module.split(".")):
        raise StartupError("import", f"can't import `{text}`: expected `module` or `module:attribute`")
    return interface, Target(text, module, name, call)


def _parse_call(text: str, attribute: str) -> tuple[str, tuple[list[Any], dict[str, Any]] | None]:
    if not attribute:
        return "", None
    try:
        expression = ast.parse(attribute, mode="eval").body
        if not isinstance(expression, ast.Call):
            return _dotted(expression), None
        arguments = [ast.literal_eval(argument) for argument in expression.args]
        keywords = {keyword.arg or "": ast.literal_eval(keyword.value) for keyword in expression.keywords}
        return _dotted(expression.func), (arguments, keywords)
    except (SyntaxError, ValueError):
        problem = "expected a name, or a call with literal arguments, after the colon"
        raise StartupError("import", f"can't import `{text}`: {problem}") from None


def _dotted(expression: ast.expr) -> str:
    if isinstance(expression, ast.Attribute):
        return f"{_dotted(expression.value)}.{expression.attr}"
    if isinstance(expression, ast.Name):
        return expression.id
    raise ValueError


def _failure(target: Target, problem: str, hint: str = "", trace: str = "") -> StartupError:
    return StartupError("import", f"can't import `{target.text}`: {problem}", hint, trace)


def _import(target: Target, path: str) -> ModuleType:
    try:
        return importlib.import_module(target.module)
    except ModuleNotFoundError as error:
        if _is_missing(error, target.module):
            raise _failure(target, f"no module named `{error.name}`", _module_hint(target, path)) from None
        raise _import_failed(target, error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _import_failed(target, error) from error


def _is_missing(error: ModuleNotFoundError, module: str) -> bool:
    """True if the target's module, or a package it is in, is what wasn't found; not something it imports."""
    name = error.name or ""
    return (module == name or module.startswith(name + ".")) and next(_own_frames(error.__traceback__), None) is None


def _import_failed(target: Target, error: BaseException) -> StartupError:
    summary = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    return _failure(target, f"module `{target.module}` failed: {summary}", trace=format_exception(error))


def _module_hint(target: Target, path: str) -> str:
    package, _, last = target.module.rpartition(".")
    names = [module.name for module in pkgutil.iter_modules([os.path.join(path, *package.split("."))])]
    if close := difflib.get_close_matches(last, names, n=1):
        module = f"{package}.{close[0]}" if package else close[0]
        return f"did you mean `{module}{target.text[len(target.module) :]}`?"
    if target.module.endswith(".py") or os.path.exists(os.path.join(path, target.text)):
        return "name the module, not its file: `main:app` for `main.py`"
    return f"looked in `{path}`; `--app-dir` looks elsewhere"


def _guess(module: ModuleType) -> str:
    return next((name for name in USUAL_NAMES if hasattr(module, name)), "")


def _find(module: ModuleType, target: Target) -> Any:
    if not target.attribute:
        if not (name := _guess(module)):
            problem = f"module `{target.module}` has none of `{'`, `'.join(USUAL_NAMES)}`"
            raise _failure(target, problem, _attribute_hint(module, target, ""))
        return getattr(module, name)
    found: Any = module
    for name in target.attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            owner = (
                f"module `{target.module}`" if found is module else f"`{target.attribute[: target.attribute.index(name) - 1]}`"
            )
            raise _failure(target, f"{owner} has no attribute `{name}`", _attribute_hint(found, target, name)) from None
    return found


def _attribute_hint(owner: Any, target: Target, missing: str) -> str:
    if not isinstance(owner, ModuleType):
        return ""
    names = [name for name, value in vars(owner).items() if callable(value) and not name.startswith("_")]
    usual = [name for name in USUAL_NAMES if name in names]
    own = [name for name in names if not isinstance(vars(owner)[name], type) or name == missing]
    close = difflib.get_close_matches(missing, own, n=1) if missing else []
    if found := (close or usual):
        return f"`{target.module}` defines `{found[0]}`; did you mean `{target.module}:{found[0]}`?"
    return ""


def _call(target: Target, factory: Any, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    name = target.attribute or _FACTORY
    if not callable(factory):
        raise _failure(target, f"`{name}` is no factory: a {type(factory).__name__} can't be called")
    try:
        return factory(*arguments, **keywords)
    except Exception as error:
        summary = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
        raise _failure(target, f"`{name}()` failed: {summary}", trace=format_exception(error)) from error


def _own_frames(tb: TracebackType | None) -> Iterator[TracebackType]:
    """The traceback's entries from the application's first frame on."""
    started = False
    while tb is not None:
        file = tb.tb_frame.f_code.co_filename
        started = started or not (file.startswith((_PACKAGE, "<frozen importlib")) or file == importlib.__file__)
        if started:
            yield tb
        tb = tb.tb_next


def own_depth(error: BaseException) -> int:
    """Return how many of the application's frames the exception went through."""
    return sum(1 for _ in _own_frames(error.__traceback__))


def format_exception(error: BaseException) -> str:
    """Format a traceback as its reader wants it: from the application's first frame on."""
    first = next(_own_frames(error.__traceback__), None)
    return "".join(traceback.format_exception(type(error), error, first))
