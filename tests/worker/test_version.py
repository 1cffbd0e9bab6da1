"""The package knows its version, from as little as it can."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import awaitd

SAYS = (
    "import sys; import awaitd; seen = awaitd.__version__, 'importlib.metadata' in sys.modules;"
    " assert awaitd.__file__.startswith(sys.argv[1]); print(*seen)"
)


def said(site: Path, *metadata: str) -> str:
    """What a copy of the package says that has these folders beside it; and whether it had to read metadata."""
    package = site / "awaitd"
    package.mkdir()
    for name in ("__init__.py", "_version.py"):
        shutil.copy(Path(awaitd.__file__).parent / name, package / name)
    for folder in metadata:
        (site / folder).mkdir()
        version = folder.removesuffix(".dist-info").split("-")[1]
        (site / folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: awaitd\nVersion: {version}\n")
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {SAYS}", str(site)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("version", ["0.1.0", "1.2rc1", "1.0+local.1"])
def test_a_wheels_folder_says_it_without_a_look_into_it(tmp_path: Path, version: str) -> None:
    assert said(tmp_path, f"awaitd-{version}.dist-info", "awaitd_tools-9.dist-info") == f"{version} False"


def test_of_two_folders_the_metadata_decides(tmp_path: Path) -> None:
    assert said(tmp_path, "awaitd-1.0.dist-info", "awaitd-2.0.dist-info") in {"1.0 True", "2.0 True"}


def test_a_source_tree_that_was_never_installed(tmp_path: Path) -> None:
    assert said(tmp_path) == "dev True"
