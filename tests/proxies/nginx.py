"""A real nginx (Debian's) in front of the server under test."""

import os
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
    """A running nginx with an address for each server block."""

    def __init__(self, folder: Path, servers: dict[str, str], common: str = "", http2: bool = False) -> None:
        assert NGINX
        self.folder = folder
        self.fronts = {name: Front() for name in servers}
        blocks = [
            f"server {{ listen {self.fronts[name].address}{' http2' * http2}; {body} }}" for name, body in servers.items()
        ]
        conf = folder / "nginx.conf"
        text = _CONF.format(folder=folder, common=common, servers="\n    ".join(blocks))
        conf.write_text(text if os.geteuid() == 0 else text.replace("user root;\n", ""))
        listening = [front.socket.fileno() for front in self.fronts.values()]
        self.process = subprocess.Popen(
            [NGINX, "-c", str(conf), "-e", str(folder / "error.log")],
            env={**os.environ, "NGINX": "".join(f"{fd};" for fd in listening)},
            pass_fds=listening,
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


StartNginx = Callable[..., Nginx]


def upstream(url: str) -> str:
    """The address of a ready line as nginx's `…_pass` takes it: host and port, or unix: and a path."""
    rest = url.split("://", 1)[-1]
    return rest if rest.startswith("unix:") else urlsplit(f"//{rest}").netloc
