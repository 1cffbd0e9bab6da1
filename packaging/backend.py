"""The build backend (PEP 517, PEP 660): a Go program and a C extension in one wheel, with the standard library alone.

A wheel holds the server as a script, so the command `awaitd` starts without Python; the package `awaitd` with its compiled
accelerator; and the metadata. What builds them is found by `toolchain`, and asked for where it is missing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import extension
import goexe
import metadata
import sdist
import tags
import toolchain
from wheelfile import Wheel

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "awaitd"
INSTALLED_SUFFIXES = {".py", ".pyi", ".typed"}

Settings = dict[str, str | list[str]] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    extension.include_folders()  # before a compiler is fetched that could not help
    return toolchain.requirements(ROOT)


get_requires_for_build_editable = get_requires_for_build_wheel


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    return []


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:
    project = metadata.load(ROOT)
    folder = Path(metadata_directory, f"{project.stem}.dist-info")
    for name, content in _metadata_files(project).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder.name


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    with tempfile.TemporaryDirectory() as folder:
        accelerator, server = Path(folder, extension.file_name()), Path(folder, "awaitd")
        extension.build(ROOT, accelerator)
        goexe.build(ROOT, server, release=True)
        wheel = _wheel(accelerator, server)
        wheel.add(f"awaitd/{accelerator.name}", accelerator.read_bytes(), executable=True)
        for path in PACKAGE.rglob("*"):
            if path.suffix in INSTALLED_SUFFIXES:
                wheel.add(path.relative_to(PACKAGE.parent).as_posix(), path.read_bytes())
        return wheel.write(Path(wheel_directory))


def build_editable(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    server = ROOT / "build" / "awaitd"
    accelerator = extension.build_in_place(ROOT)
    goexe.build(ROOT, server, release=False)
    wheel = _wheel(accelerator, server)
    wheel.add("__editable__.awaitd.pth", f"{PACKAGE.parent}\n".encode())
    return wheel.write(Path(wheel_directory))


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    return sdist.write(metadata.load(ROOT), Path(sdist_directory))


def _wheel(accelerator: Path, server: Path) -> Wheel:
    """A wheel with what every kind of it has: the command and the metadata."""
    project = metadata.load(ROOT)
    wheel = Wheel(project.stem, tags.wheel_tag(accelerator))
    wheel.add(f"{wheel.scripts}/awaitd", server.read_bytes(), executable=True)
    for name, content in _metadata_files(project).items():
        wheel.add(f"{wheel.dist_info}/{name}", content)
    return wheel


def _metadata_files(project: metadata.Project) -> dict[str, bytes]:
    licenses = {f"licenses/{name}": (ROOT / name).read_bytes() for name in project.licenses}
    return {"METADATA": metadata.render(project).encode(), **licenses}
