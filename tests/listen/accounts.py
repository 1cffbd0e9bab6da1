"""Another user than the one who runs the tests."""

import os
import pwd
import subprocess
from pathlib import Path

import pytest

root_only = pytest.mark.skipif(os.getuid() != 0, reason="needs root")
NOBODY = pwd.getpwnam("nobody")


def as_nobody(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command that is expected to end as a user who may do nothing."""
    env = {"PATH": os.environ["PATH"], "VIRTUAL_ENV": "/nowhere"}
    return subprocess.run(
        command, user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[], cwd=cwd, env=env,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
