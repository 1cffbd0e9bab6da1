"""The servers: how each is started, which applications it can run, and what its processes are called.

Conditions for all: one worker, one application thread, access log off, warnings only, uvloop where the server takes one,
connections kept alive for an hour and for any number of requests, a backlog that 10,000 connections don't overrun.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from procs import Process, Role
from provision import PYTHON, VENV

KEEP_ALIVE = "3600"
BACKLOG = "4096"
UNLIMITED = "1000000000"


@dataclass(frozen=True)
class Launch:
    """One start of one server: the application, the port, and a directory of its own."""

    target: str
    port: int
    connections: int
    directory: Path

    @property
    def wsgi(self) -> bool:
        return self.target.endswith(":wsgi")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Server:
    """A row of the table. `first` names the process that was started, `rest` its descendants."""

    name: str
    command: Callable[[Launch], list[str]]
    first: str = "worker"
    rest: str = "worker"

    def role(self, root: int) -> Role:
        def name(process: Process) -> str:
            return self.first if process.pid == root else self.rest

        return name


def nginx(launch: Launch) -> list[str]:
    user = "user root;" if os.geteuid() == 0 else ""
    config = launch.directory / "nginx.conf"
    # It ends idle connections when fewer than a sixteenth of worker_connections are left.
    config.write_text(f"""{user} daemon off; worker_processes 1; pid nginx.pid; error_log error.log warn;
worker_rlimit_nofile {launch.connections * 5 // 4 + 1024};
events {{ worker_connections {launch.connections * 5 // 4 + 512}; }}
http {{
  access_log off; keepalive_requests {UNLIMITED}; keepalive_timeout {KEEP_ALIVE}s; default_type text/plain;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  server {{ listen {launch.address} backlog={BACKLOG}; location / {{ return 200 "Hello, World!"; }} }}
}}
""")
    binary = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") or "nginx"
    return [binary, "-p", str(launch.directory), "-c", str(config), "-e", "error.log"]


def awaitd(launch: Launch) -> list[str]:
    binary = os.environ.get("AWAITD_BIN") or str(VENV / "bin" / "awaitd")
    command = [binary, launch.target, "--python", os.environ.get("AWAITD_PYTHON") or str(PYTHON)]
    command += ["--host", "127.0.0.1", "--port", str(launch.port), "--workers", "1", "--backlog", BACKLOG]
    command += ["--no-access-log", "--log-level", "warning", "--timeout-keep-alive", KEEP_ALIVE]
    return [*command, "--threads", "1"] if launch.wsgi else [*command, "--loop", "uvloop"]


def uvicorn(launch: Launch) -> list[str]:
    command = [str(VENV / "bin" / "uvicorn"), launch.target, "--host", "127.0.0.1", "--port", str(launch.port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return [*command, "--backlog", BACKLOG, "--timeout-keep-alive", KEEP_ALIVE]


def granian(launch: Launch) -> list[str]:
    command = [str(VENV / "bin" / "granian"), launch.target, "--host", "127.0.0.1", "--port", str(launch.port)]
    command += ["--workers", "1", "--runtime-threads", "1", "--no-access-log", "--log-level", "warning"]
    # It never holds more connections than --backpressure, and ends one that is idle for longer than the read timeout.
    command += ["--backlog", BACKLOG, "--backpressure", str(launch.connections + 512)]
    command += ["--http", "1", "--http1-header-read-timeout", "60000"]
    if launch.wsgi:
        return [*command, "--interface", "wsgi", "--blocking-threads", "1"]
    return [*command, "--interface", "asgi", "--loop", "uvloop"]


def gunicorn(launch: Launch) -> list[str]:
    command = [str(VENV / "bin" / "gunicorn"), launch.target, "--bind", launch.address, "--workers", "1"]
    command += ["--keep-alive", KEEP_ALIVE, "--max-requests", "0", "--backlog", BACKLOG, "--log-level", "warning"]
    command += ["--worker-connections", str(launch.connections + 512), "--no-control-socket"]
    if launch.wsgi:
        return [*command, "--worker-class", "gthread", "--threads", "1"]
    return [*command, "--worker-class", "asgi", "--asgi-loop", "uvloop", "--http-parser", "fast"]


def hypercorn(launch: Launch) -> list[str]:
    config = launch.directory / "hypercorn.toml"
    config.write_text(
        f'bind = "{launch.address}"\nworkers = 1\nworker_class = "uvloop"\nbacklog = {BACKLOG}\n'
        f'keep_alive_timeout = {KEEP_ALIVE}\nkeep_alive_max_requests = {UNLIMITED}\nloglevel = "WARNING"\n'
    )
    return [str(VENV / "bin" / "hypercorn"), "--config", str(config), launch.target]


def pyvoy(launch: Launch) -> list[str]:
    command = [str(VENV / "bin" / "pyvoy"), launch.target, "--address", "127.0.0.1", "--port", str(launch.port)]
    if launch.wsgi:
        return [*command, "--interface", "wsgi"]
    return [*command, "--interface", "asgi", "--loop", "uvloop", "--worker-threads", "1"]


def bjoern(launch: Launch) -> list[str]:
    module, name = launch.target.split(":")
    code = f"import bjoern, {module} as m; bjoern.run(m.{name}, '127.0.0.1', {launch.port}, listen_backlog={BACKLOG})"
    return [str(PYTHON), "-c", code]


def fastpysgi(launch: Launch) -> list[str]:
    module, name = launch.target.split(":")
    code = f"import fastpysgi as f, {module} as m; f.server.backlog = {BACKLOG}; f.run(m.{name}, '127.0.0.1', {launch.port})"
    return [str(PYTHON), "-c", code]


SERVERS = {
    server.name: server
    for server in (
        Server("nginx", nginx, "master", "worker"),
        Server("awaitd", awaitd, "server", "worker"),
        Server("uvicorn", uvicorn),
        Server("granian", granian, "master", "worker"),
        Server("gunicorn", gunicorn, "master", "worker"),
        Server("hypercorn", hypercorn, "master", "worker"),
        Server("pyvoy", pyvoy, "launcher", "envoy"),
        Server("bjoern", bjoern),
        Server("fastpysgi", fastpysgi),
    )
}
