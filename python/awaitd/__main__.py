"""``python -m awaitd``: the command `awaitd`, with this interpreter for the workers."""

from __future__ import annotations

import os
import sys

from ._find import find_binary
from ._run import environment


def main() -> None:
    try:
        binary = find_binary()
    except FileNotFoundError as error:
        sys.exit(f"error: {error}\nhint: `{sys.executable} -m pip install --force-reinstall awaitd`")
    os.execve(binary, [binary, *sys.argv[1:]], environment())


if __name__ == "__main__":
    main()
