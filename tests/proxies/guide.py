"""A page of docs/guides: its files, and its tables of options."""

import re
from dataclasses import dataclass
from functools import cache

from harness import ROOT

GUIDES = ROOT / "docs" / "guides"

# A block, and the paragraph in front of it, which names the file.
_BLOCK = re.compile(r"((?:^[^\n]+\n)+)\n```\w+\n(.*?)^```", re.S | re.M)
_NAME = re.compile(r"`(/[\w./-]+\.\w+)`")
_TICKED = re.compile(r"`([^`]+)`")


@dataclass
class Row:
    """What becomes of options of another server."""

    options: list[str]
    here: str
    keys: list[str]

    @property
    def flags(self) -> list[str]:
        return re.findall(r"--[\w-]+", self.here)


@cache
def text(page: str) -> str:
    return (GUIDES / page).read_text()


def files(page: str, section: str = "An example") -> dict[str, str]:
    """The files of a section: name and content."""
    found = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text(page), re.S | re.M)
    assert found, section
    return {name[1]: content for paragraph, content in _BLOCK.findall(found[1]) if (name := _NAME.search(paragraph))}


def rows(page: str) -> list[Row]:
    """The rows of all tables with the heads: theirs, here, awaitd.toml, what differs."""
    found, inside = [], False
    for line in text(page).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            inside = False
        elif cells[1:] == ["here", "awaitd.toml", "what differs"]:
            inside = True
        elif inside and not cells[0].startswith("---"):
            theirs, here, keys, _ = cells
            found.append(Row(_TICKED.findall(theirs), here, _TICKED.findall(keys)))
    return found
