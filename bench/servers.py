"""The servers: how each is started, which applications it can run, and what its processes are called.

Conditions for all: as many workers (one, mostly) and application threads as the row says, access log off, warnings only, uvloop
where the server takes one, connections kept alive for an hour and for any number of requests, a backlog that 10,000 connections
don't overrun.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import nginx
from launch import BACKLOG, KEEP_ALIVE, UNLIMITED, Launch
from procs import Process, Role
from provision import PYTHON, VENV

FRONT = "nginx"  # the role of an nginx that is in front of the server that is measured
SOMAXCONN = "/proc/sys/net/core/somaxconn"


@dataclass(frozen=True)
class Server:
    """A row of the table. `first` names the process that was started, `rest` its descendants.

    `package` is what it is installed as, if that isn't its name; with a `way` an nginx is started in front of it; `closing`
    says that it ends each connection with the reply; `remark` is what a reader of its figures has to know.
    """

    name: str
    command: Callable[[Launch], list[str]]
    first: str = "worker"
    rest: str = "worker"
    package: str = ""
    way: str = ""
    closing: bool = False
    remark: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """What has to be installed."""
        own = self.package or self.name
        return (own, "nginx") if self.way else (own,)

    def role(self, root: int) -> Role:
        def name(process: Process) -> str:
            if self.way and process.name == "nginx":
                return FRONT
            return self.first if process.pid == root else self.rest

        return name


def awaitd(launch: Launch) -> list[str]:
    binary = os.environ.get("AWAITD_BIN") or str(VENV / "bin" / "awaitd")
    command = [binary, launch.target, "--python", os.environ.get("AWAITD_PYTHON") or str(PYTHON)]
    if launch.way:
        scheme = "uwsgi://" if launch.way == "uwsgi_pass" else ""
        command += ["--bind", f"{scheme}unix:{launch.socket}", "--forwarded-allow-ips", "unix"]
    else:
        command += ["--host", "127.0.0.1", "--port", str(launch.port)]
    command += ["--workers", str(launch.workers), "--backlog", BACKLOG, "--control", launch.control]
    command += ["--no-access-log", "--log-level", "warning", "--timeout-keep-alive", KEEP_ALIVE]
    if launch.wsgi:
        return [*command, "--threads", str(launch.threads)]
    return [*command, "--loop", "uvloop", "--ws-ping-interval", KEEP_ALIVE]


def uvicorn(launch: Launch) -> list[str]:
    command = [str(VENV / "bin" / "uvicorn"), launch.target, "--host", "127.0.0.1", "--port", str(launch.port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    command += ["--workers", str(launch.workers)]
    command += ["--ws", "websockets-sansio", "--ws-ping-interval", KEEP_ALIVE]
    return [*command, "--backlog", BACKLOG, "--timeout-keep-alive", KEEP_ALIVE]


def uvicorn_wsproto(launch: Launch) -> list[str]:
    return ["wsproto" if word == "websockets-sansio" else word for word in uvicorn(launch)]


def granian(launch: Launch) -> list[str]:
    command = [str(VENV / "bin" / "granian"), launch.target]
    command += ["--uds", launch.socket] if launch.way else ["--host", "127.0.0.1", "--port", str(launch.port)]
    command += ["--workers", str(launch.workers), "--runtime-threads", "1", "--no-access-log", "--log-level", "warning"]
    # It never holds more connections than --backpressure, and ends one that is idle for longer than the read timeout.
    command += ["--backlog", BACKLOG, "--backpressure", str(launch.connections + 512)]
    command += ["--http", "1", "--http1-header-read-timeout", "60000"]
    if launch.wsgi:
        return [*command, "--interface", "wsgi", "--blocking-threads", str(launch.threads)]
    return [*command, "--interface", "asgi", "--loop", "uvloop"]


def gunicorn(launch: Launch) -> list[str]:
    command = [str(VENV / "bin" / "gunicorn"), launch.target, "--workers", str(launch.workers)]
    command += ["--bind", f"unix:{launch.socket}", "--forwarded-allow-ips", "*"] if launch.way else ["--bind", launch.address]
    command += ["--keep-alive", KEEP_ALIVE, "--max-requests", "0", "--backlog", BACKLOG, "--log-level", "warning"]
    command += ["--worker-connections", str(launch.connections + 512), "--no-control-socket"]
    if launch.wsgi:
        return [*command, "--worker-class", "gthread", "--threads", str(launch.threads)]
    return [*command, "--worker-class", "asgi", "--asgi-loop", "uvloop", "--http-parser", "fast"]


def hypercorn(launch: Launch) -> list[str]:
    config = launch.directory / "hypercorn.toml"
    config.write_text(
        f'bind = "{launch.address}"\nworkers = {launch.workers}\nworker_class = "uvloop"\nbacklog = {BACKLOG}\n'
        f'keep_alive_timeout = {KEEP_ALIVE}\nkeep_alive_max_requests = {UNLIMITED}\nloglevel = "WARNING"\n'
    )
    return [str(VENV / "bin" / "hypercorn"), "--config", str(config), launch.target]


def pyvoy(launch: Launch) -> list[str]:
    command = [str(VENV / "bin" / "pyvoy"), launch.target, "--address", "127.0.0.1", "--port", str(launch.port)]
    if launch.wsgi:
        # With one thread it keeps its default of 200, which is how it is meant to run.
        return [*command, "--interface", "wsgi", *(["--worker-threads", str(launch.threads)] if launch.threads > 1 else [])]
    return [*command, "--interface", "asgi", "--loop", "uvloop", "--worker-threads", "1"]


def bjoern(launch: Launch) -> list[str]:
    module, name = launch.target.split(":")
    # It sends head and file apart: without TCP_NODELAY, which it has no setting for, the file waits for the head's ACK.
    code = f"""import bjoern, socket, {module} as m
listener = bjoern.listen(m.{name}, '127.0.0.1', {launch.port}, listen_backlog={BACKLOG})
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
bjoern.run()"""
    return [str(PYTHON), "-c", code]


def fastpysgi(launch: Launch) -> list[str]:
    module, name = launch.target.split(":")
    code = f"import fastpysgi as f, {module} as m; f.server.backlog = {BACKLOG}; f.run(m.{name}, '127.0.0.1', {launch.port})"
    return [str(PYTHON), "-c", code]


def socketify(launch: Launch) -> list[str]:
    command = [str(PYTHON), "-m", "socketify", launch.target, "--host", "127.0.0.1", "--port", str(launch.port)]
    return [*command, "--ws", "auto", "--ws-idle-timeout", "960", "--disable-listen-log"]


def tornado(launch: Launch) -> list[str]:
    """Tornado's own server, on uvloop as awaitd runs it."""
    module, name = launch.target.split(":")
    code = f"""import asyncio, logging, uvloop, {module} as m
logging.getLogger("tornado.access").setLevel(logging.WARNING)
async def main():
    m.{name}.listen({launch.port}, "127.0.0.1", backlog={BACKLOG})
    await asyncio.Event().wait()
uvloop.run(main())"""
    return [str(PYTHON), "-c", code]


def uwsgi(launch: Launch) -> list[str]:
    """uWSGI as one runs it in earnest: a master, one interpreter, no request log."""
    backlog = min(int(BACKLOG), int(Path(SOMAXCONN).read_text()))  # it refuses to start with more than the kernel allows
    command = [str(VENV / "bin" / "uwsgi"), "--master", "--processes", "1", "--single-interpreter", "--need-app"]
    command += ["--disable-logging", "--die-on-term", "--listen", str(backlog), "--module", launch.target]
    command += ["--venv", str(VENV)] + (["--threads", str(launch.threads)] if launch.threads > 1 else [])
    if launch.way == "uwsgi_pass":
        return [*command, "--socket", launch.socket, "--chmod-socket=666"]
    # It closes without saying so, which a client that keeps connections takes for an error.
    return [*command, "--http-socket", launch.address, "--add-header", "Connection: close"]


def uwsgi_http(launch: Launch) -> list[str]:
    """uWSGI behind its own HTTP router, a second process: the only one of its ways that keeps many connections alive."""
    command = uwsgi(launch)
    return [*command[: command.index("--http-socket")], "--http", launch.address, "--http-keepalive"]


def behind(server: Server, way: str) -> Server:
    """The same server behind an nginx."""
    return replace(
        server, name=f"{server.name}@{way}", package=server.package or server.name, way=way, closing=False, remark=""
    )


UWSGI_CLOSES = "uwsgi is `--http-socket`, which ends the connection with each reply: a new one per request is in its figures."
UWSGI_ROUTER = "uwsgi-http is the same behind uWSGI's HTTP router, a process of its own that keeps connections alive."

DIRECT = (
    Server("nginx", nginx.floor, "master", "worker"),
    Server("awaitd", awaitd, "server", "worker"),
    Server("uvicorn", uvicorn),
    Server("uvicorn-wsproto", uvicorn_wsproto, package="uvicorn"),
    Server("granian", granian, "master", "worker"),
    Server("gunicorn", gunicorn, "master", "worker"),
    Server("hypercorn", hypercorn, "master", "worker"),
    Server("pyvoy", pyvoy, "launcher", "envoy"),
    Server("bjoern", bjoern),
    Server("fastpysgi", fastpysgi),
    Server("socketify", socketify),
    Server("tornado", tornado),
    Server("uwsgi", uwsgi, "master", "worker", closing=True, remark=UWSGI_CLOSES),
    Server("uwsgi-http", uwsgi_http, "master", "router and worker", "uwsgi", remark=UWSGI_ROUTER),
)
BEHIND = {"uwsgi_pass": ("awaitd", "uwsgi"), "proxy_pass": ("awaitd", "gunicorn", "granian")}

SERVERS = {server.name: server for server in DIRECT}
SERVERS |= {server.name: server for server in (behind(SERVERS[n], way) for way, names in BEHIND.items() for n in names)}
