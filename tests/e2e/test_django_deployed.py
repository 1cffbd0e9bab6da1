"""examples/django_site as examples/django_site/deploy has it: behind a real nginx with TLS, static files collected."""

import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from deployment import Deploy, Deployed, place
from harness import EXAMPLES, binary
from nginx import CLIENT
from selenium import webdriver

from browser import console_errors, fill, find, submit

SITE = EXAMPLES / "django_site"
PASSWORD = "only-for-this-test"
HOST = "example.org"

# What README.md says about where the files go.
FILES = {
    "polls.env": "/etc/polls.env",
    "awaitd.toml": "/srv/polls/deploy/awaitd.toml",
    "polls.service": "/etc/systemd/system/polls.service",
    "nginx.conf": "/etc/nginx/conf.d/polls.conf",
}


@pytest.fixture(scope="module")
def site(deploy: Deploy, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(SITE, root / "srv" / "polls", ignore=shutil.ignore_patterns("data", "__pycache__"))
    files = {where: (SITE / "deploy" / name).read_text() for name, where in FILES.items()}
    files["/etc/polls.env"] = files["/etc/polls.env"].replace("DJANGO_SECRET_KEY=", f"DJANGO_SECRET_KEY={'k' * 64}")
    place(files, root)
    (root / "srv/polls/.venv").symlink_to(sys.prefix)
    manage(root, "migrate", "--verbosity=0")
    manage(root, "collectstatic", "--no-input", "--verbosity=0")
    manage(root, "seed", "--password", PASSWORD)
    certificate(root / "etc/ssl/polls")
    return deploy(root, files[FILES["polls.service"]], files[FILES["nginx.conf"]])


def manage(root: Path, *arguments: str) -> None:
    lines = (root / "etc/polls.env").read_text().splitlines()
    env = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=root / "srv/polls", env=env, check=True, timeout=60, capture_output=True)


def certificate(folder: Path) -> None:
    folder.mkdir(parents=True)
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "fullchain.pem")]
    name = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *files, *name]
    subprocess.run(command, check=True, timeout=60, capture_output=True)


@pytest.fixture
def browser_flags(site: Deployed) -> tuple[str, ...]:
    ports = ", ".join(f"MAP {HOST}:{port} {front.address}" for port, front in site.nginx.fronts.items())
    return (f"--host-resolver-rules={ports}", "--ignore-certificate-errors")


@pytest.fixture
def visitor(site: Deployed) -> Iterator[httpx.Client]:
    """Somebody who comes from CLIENT by HTTPS, and trusts this certificate alone."""
    trusted = ssl.create_default_context(cafile=site.root / "etc/ssl/polls/fullchain.pem")
    transport = httpx.HTTPTransport(verify=trusted, local_address=CLIENT)
    with httpx.Client(base_url=f"https://{site.nginx['443'].address}", transport=transport, timeout=15) as visitor:
        visitor.headers["host"] = HOST
        visitor.event_hooks["request"] = [lambda request: request.extensions.update(sni_hostname=HOST)]
        yield visitor


def test_the_admin_in_a_browser(site: Deployed, browser: webdriver.Chrome) -> None:
    browser.get(f"http://{HOST}/admin/")
    assert browser.current_url == f"https://{HOST}/admin/login/?next=/admin/"
    fill(browser, username="admin", password=PASSWORD)
    submit(browser, "[type=submit]")  # the form's origin is compared with host and scheme
    find(browser, "#user-tools", "ADMIN")
    browser.get(f"https://{HOST}/admin/polls/question/add/")
    fill(browser, text="Is it deployed?", **{"choices-0-text": "Yes"})
    submit(browser, "[name=_save]")
    find(browser, ".success", "Is it deployed?")
    browser.get(f"https://{HOST}/")
    find(browser, "a.card", "Is it deployed?").click()
    find(browser, ".choice", "Yes").click()
    submit(browser, "main button")
    find(browser, ".total", "1 vote in all")
    assert console_errors(browser) == [], "every style and script was served"
    assert site.server.stdout.wait_for('"GET / HTTP/1.1" 200 ')
    assert "/static/" not in site.server.output(), "by nginx alone"


def test_static_files_come_from_nginx(site: Deployed, visitor: httpx.Client) -> None:
    for name in ("polls/polls.css", "admin/css/base.css"):
        style = visitor.get(f"/static/{name}")
        assert style.headers["content-type"] == "text/css"
        assert style.headers["cache-control"] == "max-age=3600"
        assert style.content == (site.root / "var/lib/polls/static" / name).read_bytes()
    assert visitor.get("/static/none.css").status_code == 404
    assert visitor.get("/static/../polls.sqlite3").status_code == 404
    assert "/static/" not in site.server.output()


def test_http_leads_to_https(site: Deployed) -> None:
    response = httpx.get(f"http://{site.nginx['80'].address}/1/?a=b", headers={"host": HOST})
    assert (response.status_code, response.headers["location"]) == (301, f"https://{HOST}/1/?a=b")


def test_the_client_is_who_it_is(site: Deployed, visitor: httpx.Client) -> None:
    assert visitor.get("/?who", headers={"x-forwarded-for": "203.0.113.9"}).status_code == 200
    assert site.server.stdout.wait_for(rf'{CLIENT}(:\d+)? "GET /\?who HTTP/1\.1" 200 ')


def test_host_and_scheme(visitor: httpx.Client) -> None:
    """Django takes a form only from its own origin, and answers only to its own name."""

    def vote(**more: str) -> int:
        visitor.get("/1/").raise_for_status()
        form = {"choice": "1", "csrfmiddlewaretoken": visitor.cookies["csrftoken"]}
        return visitor.post("/1/vote/", data=form, headers=more).status_code

    assert vote(origin=f"http://{HOST}") == 403
    assert vote(origin="https://evil.example", **{"x-forwarded-host": "evil.example"}) == 403
    assert vote(origin=f"https://{HOST}") == 302
    assert visitor.get("/", headers={"host": "evil.example"}).status_code == 400
    cookie = visitor.get("/1/results/").request.headers["cookie"]
    assert "sessionid" in cookie


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs Debian's package systemd")
def test_the_unit_is_understood(tmp_path: Path) -> None:
    unit = (SITE / "deploy" / "polls.service").read_text()
    (tmp_path / "polls.service").write_text(unit.replace("/srv/polls/.venv/bin/awaitd", binary()))
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "polls.service")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in said.stderr.splitlines() if "polls" in line] == []
