"""docs/guides/from-tornado.md: its example runs as it stands there, and what it names is there."""

import re
from pathlib import Path

import httpx

from harness import ROOT, StartServer

GUIDE = (ROOT / "docs" / "guides" / "from-tornado.md").read_text()
REFERENCE = (ROOT / "docs" / "reference" / "tornado.md").read_text()


# spec: jobs 6
def test_the_example_runs(run: StartServer, tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", GUIDE, re.S)
    command = re.search(r"^SITE_SECRET=… awaitd (.*?) --port 8888 (.*)$", GUIDE, re.M)
    assert example
    assert command
    (tmp_path / "main.py").write_text(example[1])
    *options, target = command[1].replace('"', "").split()
    server = run(*options, *command[2].split(), target=target, app_dir=tmp_path, SITE_SECRET="of a test")
    server.wait_for(r"main:make_app\(\), 4 workers \(tornado, ")
    assert httpx.get(server.url).text == "Hello, world"


# spec: jobs 6
def test_what_is_named_is_there() -> None:
    settings = (ROOT / "docs" / "reference" / "settings.md").read_text()
    for flag in set(re.findall(r"--[a-z][a-z-]+", GUIDE + REFERENCE)):
        assert re.search(rf"(?<![\w-]){flag}(?![\w-])", settings), flag
