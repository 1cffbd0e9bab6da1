"""Build the accelerator with every Python there is, and run the worker's tests under each.

    python packaging/pythons.py [VERSION ...] [-- PYTEST ARGUMENT ...]

A version is looked for on this machine (PATH, pyenv) and then in Debian's unstable suite, which is put into .pythons/debian
once (`debootstrap`, a minute, 0.9 GB; root only) and entered with chroot. Of a free-threaded Python that is nowhere to be had,
its ordinary sister's headers at least tell whether the accelerator compiles for it. Exit code 1 if anything fails, or if a
version that was asked for by name is not to be had.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".pythons"
SUITE = "sid"

VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15", "3.13t", "3.14t", "3.15t")
TESTS = "tests/worker"
REQUIREMENTS = "tests/worker-requirements.txt"


@dataclass(frozen=True)
class Python:
    """An interpreter and its environment for the tests, by their paths in the system they live in."""

    version: str
    interpreter: str
    environment: str
    system: Path | None = None  # that of a folder, where the working tree is /src; None: this machine

    @property
    def where(self) -> str:
        return f"Debian {SUITE}" if self.system else self.interpreter

    def test(self, pytest: Sequence[str]) -> bool:
        """Build the accelerator and run the tests; does it all succeed?"""
        python = f"{self.environment}/bin/python"
        return (
            self.run(self.interpreter, "-m", "venv", self.environment)
            and self.run(python, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS)
            and self.run(python, "packaging/extension.py")
            and self.run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS, *pytest)
        )

    def compiles_free_threaded(self) -> bool:
        """Does the accelerator compile as for a free-threaded build?"""
        return self.run(self.interpreter, "packaging/extension.py", "/tmp/_wire.so", CFLAGS="-DPy_GIL_DISABLED=1")

    def run(self, *arguments: str, **variables: str) -> bool:
        """Run a command in the working tree; does it succeed?"""
        root = "/src" if self.system else str(ROOT)
        settings = {"PYTHONPATH": f"{root}/python", "PYTHONDONTWRITEBYTECODE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        env = {**os.environ, **settings, **variables}
        if self.system:
            env.pop("PIP_FIND_LINKS", None)  # folders of this machine
            arguments = tuple(_inside(self.system, f"cd {root} && exec {shlex.join(arguments)}"))
        return subprocess.run(arguments, env=env, cwd=ROOT).returncode == 0


def find(versions: Iterable[str]) -> dict[str, Python]:
    """Those of ``versions`` that there are."""
    local = {version: _local(version) for version in versions}
    found = {version: python for version, python in local.items() if python is not None}
    missing = [version for version in local if version not in found]
    return {**found, **_debian(missing)} if missing else found


def _local(version: str) -> Python | None:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    on_path = shutil.which(f"python{version}")
    candidates = [*filter(None, [on_path]), *map(str, sorted(pyenv.glob(f"{version}*/bin/python{version}")))]
    # The probe tells a shim that leads nowhere, or a Python without headers, from one that can be used.
    probe = "import os, sysconfig, venv; exit(not os.path.exists(sysconfig.get_path('include') + '/Python.h'))"
    for path in candidates:
        if subprocess.run([path, "-c", probe], capture_output=True).returncode == 0:
            return Python(version, path, str(FOLDER / f"venv-{version}"))
    return None


def _debian(versions: Sequence[str]) -> dict[str, Python]:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print(f"note: no Python {', '.join(versions)} on this machine; root with `debootstrap` could get some from Debian")
        return {}
    system = FOLDER / "debian"
    ready = system / "ready"
    if not ready.exists():
        _bootstrap(system)
        ready.touch()
    return {
        version: Python(version, f"/usr/bin/python{version}", f"/opt/venv-{version}", system)
        for version in versions
        if (system / f"usr/bin/python{version}").exists()
    }


def _bootstrap(system: Path) -> None:
    print(f"note: putting Debian {SUITE} into {system.relative_to(ROOT)}", flush=True)
    shutil.rmtree(system, ignore_errors=True)  # of a run that was cut short; nothing is mounted in it, see _inside
    system.mkdir(parents=True)
    _must(["debootstrap", "--variant=minbase", "--include=gcc,libc6-dev,ca-certificates", SUITE, str(system)])
    for name in ("etc/ssl/certs/ca-certificates.crt", "etc/resolv.conf"):  # a machine may trust authorities of its own
        if Path("/", name).exists():
            shutil.copyfile(Path("/", name), system / name)
    # A mirror may be a snapshot, whose lists have expired.
    apt = "apt-get -qq -y -o Acquire::Check-Valid-Until=false -o APT::Install-Recommends=false"
    packages = r"apt-cache pkgnames python3. | grep -E '^python3\.[0-9]+t?$' | sed 's/.*/& &-venv &-dev/'"
    _must(_inside(system, f"{apt} update && {apt} install $({packages})"))


def _must(command: Sequence[str]) -> None:
    log = FOLDER / "debian.log"
    with open(log, "ab") as file:
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        code = subprocess.run(command, stdout=file, stderr=file, env=env).returncode
    if code != 0:
        sys.exit(f"error: can't set up Debian {SUITE}: `{command[0]}` failed\nhint: see {log.relative_to(ROOT)}")


def _inside(system: Path, script: str) -> list[str]:
    """The command that runs a shell script in ``system`` as its root, with the working tree at /src.

    What is mounted is mounted for this one command: it is gone when the command ends, however it ends.
    """
    folder, root = shlex.quote(str(system)), shlex.quote(str(ROOT))
    mounts = f"mkdir -p {folder}/src && mount --rbind {root} {folder}/src && mount --rbind /dev {folder}/dev"
    enter = f"mount -t proc proc {folder}/proc && exec chroot {folder} sh -c {shlex.quote(script)}"
    return ["unshare", "--mount", "sh", "-c", f"{mounts} && {enter}"]


def main(arguments: Sequence[str]) -> None:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    asked, pytest = arguments[:split], arguments[split + 1 :]
    wanted = asked or VERSIONS
    found = find(dict.fromkeys([*wanted, *(version.rstrip("t") for version in wanted)]))
    results = {version: _result(version, found, pytest) for version in wanted}
    for version, (result, _) in results.items():
        print(f"{version:<6} {result}")
    sys.exit(not all(good or (good is None and not asked) for _, good in results.values()))


def _result(version: str, found: dict[str, Python], pytest: Sequence[str]) -> tuple[str, bool | None]:
    """What there is to say about one version, and whether it is good; None where that can't be known here."""
    python, sister = found.get(version), found.get(version.rstrip("t"))
    if python is not None:
        print(f"== {version} ({python.where})", flush=True)
        good = python.test(pytest)
        return f"{'ok' if good else 'FAILED'} ({python.where})", good
    if sister is not None:
        compiles = sister.compiles_free_threaded()
        return f"{'compiles' if compiles else 'FAILED to compile'}; not here to be run", None if compiles else False
    return "not here", None


if __name__ == "__main__":
    main(sys.argv[1:])
