"""docs/guides, run: the examples as they stand there, and each line of their tables against the command line."""

import ast
import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import guide
from deployment import Deploy, Deployed, directives, place
from harness import ROOT, binary, family
from nginx import CLIENT
from rawhttp import Connection, fetch

HERE = Path(__file__).parent
SERVICE, SITE = "/etc/systemd/system/site.service", "/etc/nginx/conf.d/site.conf"
UNIT = guide.files("from-uwsgi.md")[SERVICE]  # for the sections that show none
STYLE = "body { color: black }\n"

EXAMPLES = [
    ("from-uwsgi.md", "An example"),
    ("from-gunicorn.md", "An example"),
    ("from-nginx-unit.md", "An example"),
    ("behind-nginx.md", "By `proxy_pass`"),
    ("behind-nginx.md", "By `uwsgi_pass`"),
]


class Example:
    def __init__(self, page: str, section: str, site: Deployed) -> None:
        self.page, self.section = page, section
        self.root, self.server, self.front = site.root, site.server, site.nginx["80"]

    def seen(self, target: str, **fields: str) -> dict[str, Any]:
        """Of a request what both interfaces know: client, host, scheme, environment."""
        response = fetch(self.front, target, **fields)
        assert response.status == 200, response
        found = json.loads(response.body)
        if "headers" in found:
            return {"client": found["client"][0], "host": dict(found["headers"])["host"], "scheme": found["scheme"]}
        return {"client": found["REMOTE_ADDR"], "host": found["HTTP_HOST"], "scheme": found["wsgi.url_scheme"]}


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda example: "-".join(example))
def example(request: pytest.FixtureRequest, deploy: Deploy, tmp_path_factory: pytest.TempPathFactory) -> Example:
    page, section = request.param
    root, files = tmp_path_factory.mktemp("root"), {SERVICE: UNIT, **guide.files(page, section)}
    place(files, root)
    site = root / "srv" / "site"
    shutil.copy(HERE / "wsgi.py", site / "wsgi.py")
    shutil.copy(HERE / "asgi.py", site / "asgi.py")
    for module in ("wsgi", "asgi"):
        with (site / f"{module}.py").open("a") as source:
            source.write("\napplication = app\n")
    (site / "venv").symlink_to(sys.prefix)
    (site / "static").mkdir()
    (site / "static" / "site.css").write_text(STYLE)
    return Example(page, section, deploy(root, files[SERVICE], files[SITE]))


def test_a_request(example: Example) -> None:
    response = fetch(example.front, "/hello", host="example.org")
    assert (response.status, response.text) == (200, "Hello, world!")
    assert response["server"].startswith("nginx")


def test_who_asked_for_what(example: Example) -> None:
    forged = {"x_forwarded_for": "203.0.113.9", "x_forwarded_proto": "https", "x_forwarded_host": "evil.example"}
    for fields in ({}, forged, {"forwarded": "for=203.0.113.9;host=evil.example;proto=https"}):
        seen = example.seen("/", host="example.org", **fields)
        assert seen == {"client": CLIENT, "host": "example.org", "scheme": "http"}, fields
    if "access = false" not in guide.files(example.page, example.section)["/srv/site/awaitd.toml"]:
        assert example.server.stdout.wait_for(rf'{CLIENT}(:\d+)? "GET / HTTP/1\.1" 200 ')


def test_static_files_and_the_limit_of_bodies(example: Example) -> None:
    if "client_max_body_size" not in guide.files(example.page, example.section)[SITE]:
        return  # a page that shows neither
    style = fetch(example.front, "/static/site.css")
    assert (style.status, style.text, style["content-type"]) == (200, STYLE, "text/css")
    assert fetch(example.front, "/static/none.css").status == 404
    for size, status in ((10 << 20, 200), ((10 << 20) + 1, 413)):
        with Connection(example.front, timeout=60) as connection:
            connection.send(f"POST /digest HTTP/1.1\r\nhost: example.org\r\ncontent-length: {size}\r\n\r\n")
            if status == 200:
                connection.send(bytes(size))
            assert connection.response().status == status


def test_the_workers_and_their_environment(example: Example) -> None:
    settings = guide.files(example.page, example.section)["/srv/site/awaitd.toml"]
    workers = family(example.server.pid)[1:]
    if found := re.search(r"^count = (\d+)$", settings, re.M):
        assert len(workers) == int(found[1])
    if "SITE_ENV" in settings:
        assert all(b"SITE_ENV=production\0" in Path(f"/proc/{pid}/environ").read_bytes() for pid in workers)


def test_the_check_that_the_pages_name(example: Example) -> None:
    folder = example.root / "srv" / "site"
    checked = subprocess.run([binary(), "--check-config"], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr


# What the pages call a setting of gunicorn.conf.py, if its flag is called otherwise. `""`: it has none.
GUNICORN = {
    "wsgi_app": "",
    "ssl_context": "",
    "keepalive": "keep-alive",
    "preload_app": "preload",
    "raw_env": "env",
    "reload_extra_files": "reload-extra-file",
    "proxy_allow_ips": "proxy-allow-from",
    "pidfile": "pid",
    "proc_name": "name",
    "loglevel": "log-level",
    "accesslog": "access-logfile",
    "access_log_format": "access-logformat",
    "errorlog": "error-logfile",
    "logconfig": "log-config",
    "syslog": "log-syslog",
    "sendfile": "no-sendfile",
}

# Values for flags that take more than a number.
VALUES = {
    "chdir": ".",
    "env": "A=b",
    "add-header": "A:b",
    "bind": ":1",
    "http": ":1",
    "forwarded-allow-ips": "*",
    "proxy-allow-from": "*",
    "log-level": "info",
    "ws": "websockets",
    "ws-per-message-deflate": "False",
    "limit-request-line": "1000",
    "limit-request-fields": "100",
    "limit-request-field-size": "1000",
}


# What some flags don't go without.
TOGETHER = {"keyfile": ("--certfile=1",), "cert-reqs": ("--ca-certs=1",)}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [binary(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, cwd=HERE)


def options(page: str) -> list[tuple[str, guide.Row]]:
    """Each option of a page that is a flag, and its row."""
    found = []
    for row in guide.rows(page):
        for option in row.options:
            flag = GUNICORN.get(option, option.replace("_", "-")) if page == "from-gunicorn.md" else option.removeprefix("--")
            found += [(flag, row)] if flag else []
    return found


PAGES = ["from-uwsgi.md", "from-gunicorn.md", "coming-from.md"]


@pytest.mark.parametrize(
    ("flag", "row"), [pytest.param(flag, row, id=f"{page}-{flag}") for page in PAGES for flag, row in options(page)]
)
def test_what_the_command_line_says_of_an_option(flag: str, row: guide.Row) -> None:
    said = run("config", "main:app", f"--{flag}={VALUES.get(flag, '1')}", *TOGETHER.get(flag, ()))
    if said.returncode == 0:
        assert row.here.startswith("the same: "), "it is understood"
        (setting,) = re.findall(rf"^(\S+) .* --{flag}$", said.stdout, re.M)
        assert row.flags == [f"--{setting}"]
        return
    assert not row.here.startswith("the same"), said.stderr
    assert f"--{flag}" in said.stderr
    assert "unknown flag" not in said.stderr
    assert (row.here == "not yet") == ("is not in this version" in said.stderr), said.stderr
    for name in row.flags:
        assert name in said.stderr
    if row.here == "`TARGET`":
        assert re.search("the application is an argument|name it behind the module", said.stderr)
    if row.here == "SIGHUP":
        assert "SIGHUP" in said.stderr
    if row.here == "nothing":
        assert "hint: use" not in said.stderr


WEBSOCKETS = [flag for page in PAGES for flag, row in options(page) if any("websocket." in key for key in row.keys)]


@pytest.mark.parametrize("flag", sorted({*WEBSOCKETS, "websocket-max-size", "websocket-ping-freq", "websocket-pong-tolerance"}))
def test_what_is_said_of_websockets_can_be_taken(flag: str) -> None:
    """The flag, or the one that takes its place, with the same value."""
    value = VALUES.get(flag, "7")
    said = run("config", "main:app", f"--{flag}", value)
    if said.returncode:
        (advice,) = re.findall(r"hint: use `([^`]+)`", said.stderr)
        name, _, advised = advice.partition(" ")
        said = run("config", "main:app", name, value := advised or value)
        flag = name.removeprefix("--")
    shown = re.findall(rf"^{flag} +(\S+) +--{flag}$", said.stdout, re.M)
    assert shown, said.stderr
    assert shown[0].lower().startswith(value.lower())


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--ws", "wsproto"), "the server has one WebSocket engine of its own"),
        (("--ws", "main:app"), "WebSockets are on, as with granian's `--ws`"),
    ],
)
def test_the_switches_of_others_for_websockets(arguments: tuple[str, ...], hint: str) -> None:
    said = run("config", "main:app", *arguments)
    assert said.returncode == 2
    assert said.stderr == f"error: --ws: must be auto or none, got `{arguments[1]}`\nhint: leave it out: {hint}\n"


@pytest.mark.parametrize("page", [*PAGES, "from-nginx-unit.md"])
def test_the_flags_and_keys_of_a_page_are_ours_and_go_together(page: str) -> None:
    settings = (ROOT / "docs" / "reference" / "settings.md").read_text()
    key_of = {
        flag: key[1] if (key := re.search(r" · `([a-z]+\.[a-z_]+)` · ", body)) else None
        for flag, body in re.findall(r"^### `(--[\w-]+|TARGET)[^\n]*\n(.*?)(?=^##|\Z)", settings, re.S | re.M)
    }
    help_ = run("--help").stdout
    for row in guide.rows(page):
        flags = ["TARGET"] if row.here == "`TARGET`" else row.flags
        for flag in flags:
            assert re.search(rf"(?<![\w-]){flag}(?![\w-])", help_), flag
        names = [flag if flag in key_of else flag.replace("--no-", "--") for flag in flags]
        keys = [key_of[name] for name in names]
        assert row.keys == [key for key in keys if key], row
    prose = re.sub(r"```.*?```", "", guide.text(page), flags=re.S)
    theirs = {option for row in guide.rows(page) for option in row.options}
    for flag in set(re.findall(r"(?<=`)--[\w-]+", prose)) - theirs:
        assert flag in help_ or "is not in this version" in run("main:app", f"{flag}=1").stderr, flag


# What of Unit's a page says is "not yet", and the flag that will say it.
UNIT_LATER = dict.fromkeys(("share", "index", "fallback"), "--static")


def test_what_of_units_is_not_there_yet() -> None:
    later = {option for row in guide.rows("from-nginx-unit.md") if row.here == "not yet" for option in row.options}
    assert later == set(UNIT_LATER)
    for flag in UNIT_LATER.values():
        assert "is not in this version" in run("main:app", f"{flag}=1").stderr, flag


def flattened(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in flattened(item)}
    return {name for item in value for name in flattened(item)} if isinstance(value, list) else set()


def test_the_pages_explain_each_option_of_what_they_replace() -> None:
    ini = configparser.ConfigParser()
    ini.read_string(guide.files("from-uwsgi.md")["/srv/site/uwsgi.ini"])
    module = ast.parse(guide.files("from-gunicorn.md")["/srv/site/gunicorn.conf.py"])
    unit = json.loads(guide.files("from-nginx-unit.md")["/srv/site/unit.json"])
    used = {
        "from-uwsgi.md": set(ini["uwsgi"]),
        "from-gunicorn.md": {node.targets[0].id for node in ast.walk(module) if isinstance(node, ast.Assign)},
        "from-nginx-unit.md": flattened(unit)
        # names that are the user's, and the frames of what the tables list
        - {"*:80", "site", "SITE_ENV", "uri", "applications", "settings", "http"},
    }
    for page, names in used.items():
        explained = {part for row in guide.rows(page) for option in row.options for part in (option, *option.split("."))}
        assert names - explained == set(), page


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs Debian's package systemd")
def test_the_units_are_understood(tmp_path: Path) -> None:
    for page, section in EXAMPLES[:3]:
        unit = guide.files(page, section)[SERVICE]
        assert directives(unit)["ExecStart"] == ["/srv/site/venv/bin/awaitd"]
        (tmp_path / "site.service").write_text(
            unit.replace("/srv/site/venv/bin/awaitd", binary()).replace("/srv/site", str(tmp_path))
        )
        command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "site.service")]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert [line for line in said.stderr.splitlines() if "site" in line] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: page.name)
def test_the_links_of_the_documents_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.S)):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_each_page_is_in_the_list() -> None:
    listed = (ROOT / "docs" / "README.md").read_text()
    for folder in ("tutorial", "guides", "reference"):
        for page in (ROOT / "docs" / folder).glob("*.md"):
            assert f"({folder}/{page.name})" in listed
