"""The nginx configurations: the floor, which answers by itself, and one in front of an application server."""

import os
import shutil

from launch import BACKLOG, KEEP_ALIVE, UNLIMITED, Launch

FLOOR = 'return 200 "Hello, World!";'

# The fields that Debian's uwsgi_params and proxy_params hand on, so that both ways carry what a real application is given.
UWSGI_PARAMS = {
    "QUERY_STRING": "$query_string", "REQUEST_METHOD": "$request_method", "CONTENT_TYPE": "$content_type",
    "CONTENT_LENGTH": "$content_length", "REQUEST_URI": "$request_uri", "PATH_INFO": "$document_uri",
    "DOCUMENT_ROOT": "$document_root", "SERVER_PROTOCOL": "$server_protocol", "REQUEST_SCHEME": "$scheme",
    "HTTPS": "$https if_not_empty", "REMOTE_ADDR": "$remote_addr", "REMOTE_PORT": "$remote_port",
    "SERVER_PORT": "$server_port", "SERVER_NAME": "$server_name", "HTTP_HOST": "$host",
}  # fmt: skip
PROXY_HEADERS = {
    "Host": "$host", "X-Real-IP": "$remote_addr", "X-Forwarded-For": "$proxy_add_x_forwarded_for",
    "X-Forwarded-Proto": "$scheme", "Connection": '""',
}  # fmt: skip


def floor(launch: Launch) -> list[str]:
    """Writes the configuration of an nginx that answers by itself, and returns the command that starts it."""
    return started(launch, FLOOR)


def front(launch: Launch) -> list[str]:
    """As floor(), of an nginx that passes everything on to the launch's unix socket."""
    return started(launch, passing(launch.way), f"upstream application {{ server unix:{launch.socket}; {pool(launch)}}}")


def pool(launch: Launch) -> str:
    """Connections to the application server that are kept; uwsgi, as nginx and uWSGI speak it, has one for each request."""
    return f"keepalive {launch.connections}; keepalive_requests {UNLIMITED}; " if launch.way == "proxy_pass" else ""


def passing(way: str) -> str:
    if way == "uwsgi_pass":
        return "uwsgi_pass application; " + " ".join(f"uwsgi_param {k} {v};" for k, v in UWSGI_PARAMS.items())
    headers = " ".join(f"proxy_set_header {k} {v};" for k, v in PROXY_HEADERS.items())
    return f"proxy_pass http://application; proxy_http_version 1.1; {headers}"


def started(launch: Launch, location: str, upstream: str = "") -> list[str]:
    file = launch.directory / "nginx.conf"
    file.write_text(config(launch, location, upstream))
    binary = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") or "nginx"
    return [binary, "-p", str(launch.directory), "-c", str(file), "-e", "error.log"]


def config(launch: Launch, location: str, upstream: str) -> str:
    user = "user root;" if os.geteuid() == 0 else ""
    # It ends idle connections when fewer than a sixteenth of worker_connections are left; in front, a request takes two.
    limit = launch.connections * (2 if upstream else 1) * 5 // 4 + 512
    return f"""{user} daemon off; worker_processes 1; pid nginx.pid; error_log error.log warn;
worker_rlimit_nofile {limit + 512};
events {{ worker_connections {limit}; }}
http {{
  access_log off; keepalive_requests {UNLIMITED}; keepalive_timeout {KEEP_ALIVE}s; default_type text/plain;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  {upstream}
  server {{ listen {launch.address} backlog={BACKLOG}; location / {{ {location} }} }}
}}
"""
