"""METADATA, read back as an installer does."""

import email.parser
import re
from pathlib import Path

import pytest

import metadata

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_the_go_programs_constant(tree):
    assert metadata.load(tree).stem == "awaitd-1.2.3"


def test_a_missing_version_is_one_clear_line(tree):
    (tree / metadata.VERSION_FILE).write_text("package config\n")
    with pytest.raises(SystemExit, match=r"^error: can't read the version: `internal/config/config.go` has no"):
        metadata.load(tree)


def test_every_field_arrives(tree):
    message = email.parser.Parser().parsestr(metadata.render(metadata.load(tree)))
    assert message["Metadata-Version"] == "2.4"
    assert (message["Name"], message["Version"]) == ("awaitd", "1.2.3")
    assert message["License-Expression"] == "MIT"
    assert message.get_all("License-File") == ["LICENSE"]
    assert message["Requires-Python"] == ">=3.11"
    assert message["Provides-Extra"] == "uvloop"
    assert message["Requires-Dist"] == 'uvloop>=0.21 ; extra == "uvloop"'
    assert message["Project-URL"] == "Source, https://example.org"
    assert message.get_payload() == "# Grüße\n"


def test_a_missing_readme_is_one_clear_line(tree):
    (tree / "README.md").unlink()
    with pytest.raises(SystemExit, match=r"^error: can't write the metadata: `README.md` is missing$"):
        metadata.render(metadata.load(tree))


def test_this_project_has_a_version_and_supports_what_its_classifiers_say():
    project = metadata.load(ROOT)
    assert re.fullmatch(r"\d+\.\d+\.\d+\w*", project.version)
    pythons = [line.rsplit(" ", 1)[1] for line in project.table["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert project.table["requires-python"] == f">={pythons[0]}"
