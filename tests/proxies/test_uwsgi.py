"""nginx in front by the uwsgi protocol."""

import json
from pathlib import Path

from conftest import StartNginx

from harness import StartServer
from nginx import SETTINGS, upstream
from rawhttp import fetch

HERE = Path(__file__).parent


def test_hello(start_server: StartServer, start_nginx: StartNginx) -> None:
    server = start_server("wsgi:app", HERE, "--bind", "127.0.0.1:0", "--bind", "uwsgi://127.0.0.1:0")
    url = server.wait_for(r"ready on (uwsgi://\S+):")[1]
    nginx = start_nginx({"a": f"location / {{ include {SETTINGS}/uwsgi_params; uwsgi_pass {upstream(url)}; }}"})
    assert fetch(nginx["a"], "/hello").body == b"Hello, world!"
    assert json.loads(fetch(nginx["a"], "/env%20ir%C3%A9?q=1").body)["PATH_INFO"] == "/env ir\u00c3\u00a9"
