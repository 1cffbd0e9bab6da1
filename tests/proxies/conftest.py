"""Fixtures of the tests with nginx in front.

Environment:
CI                  `true`: a missing nginx is a failure, not a skip
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from nginx import NGINX, Nginx, StartNginx


@pytest.fixture(scope="module")
def start_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNginx]:
    """`start_nginx({"name": "what is in its server block"})` starts an nginx that is stopped after the module."""
    if not NGINX:
        missing = "needs the package nginx (apt-get install nginx)"
        pytest.fail(missing, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(missing)
    with ExitStack() as running:

        def start(servers: dict[str, str], common: str = "", http2: bool = False) -> Nginx:
            nginx = Nginx(Path(tmp_path_factory.mktemp("nginx")), servers, common, http2)
            running.callback(nginx.stop)
            return nginx

        yield start
