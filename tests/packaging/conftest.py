import sys
from pathlib import Path

import pytest

# The backend's modules are found by path, never installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging"))

HEAD = """
[project]
name = "awaitd"
description = "A server"
readme = "README.md"
requires-python = ">=3.11"
license = "MIT"
license-files = ["LICENSE"]
authors = [{ name = "Somebody" }]
keywords = ["asgi", "wsgi"]
classifiers = ["Typing :: Typed"]
dynamic = ["version"]
[project.optional-dependencies]
uvloop = ["uvloop>=0.21"]
[project.urls]
Source = "https://example.org"
"""


@pytest.fixture
def tree(tmp_path):
    """A project with metadata and nothing else."""
    (tmp_path / "pyproject.toml").write_text(HEAD)
    (tmp_path / "README.md").write_text("# Grüße\n")
    version = tmp_path / "internal/config/config.go"
    version.parent.mkdir(parents=True)
    version.write_text('package config\n\nconst Version = "1.2.3"\n')
    return tmp_path
