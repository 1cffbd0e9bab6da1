"""The version of this package, which is the server's: both come from one wheel."""

from __future__ import annotations

import os


def _find() -> str:
    # The metadata beside this very package first: the server may have put it on the path of an interpreter that has another.
    beside = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return _named(beside) or _installed(beside) or "dev"


def _named(beside: str) -> str:
    """What the name of the package's ``.dist-info`` folder says, if there is one. The modules that read metadata would be a
    quarter of the time that a small worker takes to import everything."""
    start, end = "awaitd-", ".dist-info"
    try:
        found = [name for name in os.listdir(beside) if name.startswith(start) and name.endswith(end)]
    except OSError:  # a zip file
        return ""
    return found[0][len(start) : -len(end)] if len(found) == 1 else ""


def _installed(beside: str) -> str:
    import importlib.metadata  # takes long, and is seldom needed

    for found in importlib.metadata.distributions(name="awaitd", path=[beside]):
        return found.version
    try:
        return importlib.metadata.version("awaitd")
    except importlib.metadata.PackageNotFoundError:
        return ""


#: ``"0.1.0"``, or ``"dev"`` in a source tree that was never installed.
__version__: str = _find()
