"""A real nginx (Debian's) in front of the server under test."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from harness import STOP_WITHIN

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SETTINGS = Path("/etc/nginx")  # Debian's uwsgi_params and scgi_params: what its users include

CLIENT = "127.0.0.2"

_CONF = """
daemon off;
worker_processes 1;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {common}
    {servers}
}}
"""


class Front:
    """One address that nginx listens on; `rawhttp` connects to it as to a server."""

    def __init__(self) -> None:
        # nginx takes over sockets of its parent, as in an upgrade of its binary: so the port is ours from the start, and who
        # connects before nginx is up waits for it.
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    def connect(self, timeout: float = 10) -> socket.socket:
        """A new connection, from an address that nobody else has here."""
        return socket.create_connection(("127.0.0.1", self.port), timeout, source_address=(CLIENT, 0))


class Nginx:
    """A running nginx, with addresses of ours."""

    def __init__(self, folder: Path, conf: str, fronts: dict[str, Front]) -> None:
        assert NGINX
        self.folder, self.fronts = folder, fronts
        (folder / "nginx.conf").write_text(conf if os.geteuid() == 0 else conf.replace("user root;\n", ""))
        command = [NGINX, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        test = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=STOP_WITHIN, check=False)
        assert test.returncode == 0, test.stderr
        listening = [front.socket.fileno() for front in fronts.values()]
        self.process = subprocess.Popen(
            command, env={**os.environ, "NGINX": "".join(f"{fd};" for fd in listening)}, pass_fds=listening
        )

    def __getitem__(self, name: str) -> Front:
        return self.fronts[name]

    def log(self) -> str:
        return (self.folder / "error.log").read_text(errors="replace")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        finally:
            self.process.kill()
            for front in self.fronts.values():
                front.socket.close()


def with_servers(folder: Path, servers: dict[str, str], common: str = "", http2: bool = False) -> Nginx:
    """An nginx with an address for each server block."""
    fronts = {name: Front() for name in servers}
    blocks = [f"server {{ listen {fronts[name].address}{' http2' * http2}; {body} }}" for name, body in servers.items()]
    return Nginx(folder, _CONF.format(folder=folder, common=common, servers="\n    ".join(blocks)), fronts)


def with_site(folder: Path, site: str) -> Nginx:
    """An nginx with a file of its conf.d as it stands in a page; each port has an address of ours, `nginx["80"]`."""
    fronts: dict[str, Front] = {}

    def address(listen: re.Match[str]) -> str:
        fronts[listen[1]] = fronts.get(listen[1]) or Front()
        return f"listen {fronts[listen[1]].address}"

    for file in SETTINGS.iterdir():
        if file.is_file() and file.name != "nginx.conf":
            shutil.copy(file, folder)  # what `include` names is looked for beside nginx.conf
    site = re.sub(r"\blisten (\d+)", address, site)
    return Nginx(folder, _CONF.format(folder=folder, common="include mime.types;", servers=site), fronts)


StartNginx = Callable[..., Nginx]


def upstream(url: str) -> str:
    """The address of a ready line as nginx's `…_pass` takes it: host and port, or unix: and a path."""
    rest = url.split("://", 1)[-1]
    return rest if rest.startswith("unix:") else urlsplit(f"//{rest}").netloc
