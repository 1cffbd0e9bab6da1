"""The version of this package, which is the server's: both come from one wheel."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path


def _find() -> str:
    # The metadata beside this very package first: the server may have put it on the path of an interpreter that has another.
    beside = str(Path(__file__).parents[1])
    for found in importlib.metadata.distributions(name="awaitd", path=[beside]):
        return found.version
    try:
        return importlib.metadata.version("awaitd")
    except importlib.metadata.PackageNotFoundError:
        return "dev"


#: ``"0.1.0"``, or ``"dev"`` in a source tree that was never installed.
__version__: str = _find()
