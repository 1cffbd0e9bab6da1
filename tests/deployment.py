"""Files of a deployment as they stand in a page or an example, under a folder of the test instead of /.

What is changed in them is in `placed` and nothing else: where the folders are. Ports are nginx.with_site's.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness import Server, binary
from nginx import Nginx, with_site

_MOVED = re.compile(r"(?<![\w.])(?=/(?:srv|run|etc|var)/)")


def placed(text: str, root: Path) -> str:
    """The text with /srv, /run, /etc and /var below root."""
    return _MOVED.sub(str(root), text)


def place(files: Mapping[str, str], root: Path) -> None:
    """Writes files with absolute names below root; what they say of folders is moved there, too."""
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(placed(text, root))


class Deployed:
    """A server as its unit starts it, and nginx in front."""

    def __init__(self, root: Path, server: Server, nginx: Nginx) -> None:
        self.root, self.server, self.nginx = root, server, nginx


Deploy = Callable[[Path, str, str], Deployed]


def directives(unit: str) -> dict[str, list[str]]:
    """The directives of a unit, whatever their section."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit, re.M):
        found.setdefault(name, []).append(value)
    return found


@contextmanager
def deployed(root: Path, service: str, site: str) -> Iterator[Deployed]:
    """Runs ExecStart= of a unit, and nginx with a file for conf.d. Users and groups are left to systemd."""
    unit = directives(placed(service, root))
    (command,), (folder,) = unit["ExecStart"], unit["WorkingDirectory"]
    program, *arguments = shlex.split(command)
    assert program.endswith("/bin/awaitd"), program
    for name in unit.get("RuntimeDirectory", []):
        (root / "run" / name).mkdir(parents=True)
    env = dict(variable.split("=", 1) for line in unit.get("Environment", []) for variable in shlex.split(line))
    server = Server([binary(), *arguments], env, Path(folder))
    try:
        server.wait_for("ready on")
        (conf := root / "nginx").mkdir()
        nginx = with_site(conf, placed(site, root))
        try:
            yield Deployed(root, server, nginx)
        finally:
            nginx.stop()
        code = server.stop()
        assert code == 0, f"exit code {code}:\n{server.output()}"
    finally:
        server.kill()
