"""The project's metadata: pyproject.toml's ``[project]`` table, written as METADATA (core metadata 2.4)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import fail

VERSION_FILE = "internal/config/config.go"


@dataclass(frozen=True)
class Project:
    """What the files of a distribution are named after and filled with."""

    root: Path
    version: str
    table: dict[str, Any]  # [project], as read

    @property
    def stem(self) -> str:
        """``awaitd-0.1.0``: how wheel, sdist and dist-info folder begin."""
        return f"{self.table['name']}-{self.version}"

    @property
    def licenses(self) -> list[str]:
        return sorted(self.table["license-files"])


def load(root: Path) -> Project:
    """Read the project in ``root``; the version is the Go program's own constant."""
    with open(root / "pyproject.toml", "rb") as file:
        table = tomllib.load(file)["project"]
    match = re.search(r'^const Version = "([^"]+)"', (root / VERSION_FILE).read_text(), re.MULTILINE)
    if match is None:
        fail(f'can\'t read the version: `{VERSION_FILE}` has no `const Version = "…"`')
    return Project(root, match[1], table)


def render(project: Project) -> str:
    """METADATA for a wheel, PKG-INFO for an sdist."""
    table = project.table
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {table['name']}",
        f"Version: {project.version}",
        f"Summary: {table['description']}",
        f"Author: {', '.join(author['name'] for author in table['authors'])}",
        f"License-Expression: {table['license']}",
        *(f"License-File: {name}" for name in project.licenses),
        f"Keywords: {','.join(table['keywords'])}",
        *(f"Classifier: {classifier}" for classifier in table["classifiers"]),
        *(f"Project-URL: {label}, {url}" for label, url in table["urls"].items()),
        f"Requires-Python: {table['requires-python']}",
    ]
    for extra, requirements in sorted(table.get("optional-dependencies", {}).items()):
        lines.append(f"Provides-Extra: {extra}")
        lines.extend(f'Requires-Dist: {requirement} ; extra == "{extra}"' for requirement in requirements)
    lines.append("Description-Content-Type: text/markdown")
    return "\n".join(lines) + "\n\n" + _readme(project)


def _readme(project: Project) -> str:
    name: str = project.table["readme"]
    try:
        return (project.root / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        fail(f"can't write the metadata: `{name}` is missing")
