"""The frameworks' own virtual environment, made on first use and again when requirements.txt changes."""

import hashlib
import subprocess
import sys
from pathlib import Path

from harness import ROOT

HERE = Path(__file__).parent
VENV = HERE / ".venv"
REQUIREMENTS = HERE / "requirements.txt"


def provide() -> Path:
    """The environment's folder, with all that requirements.txt names in it, and this tree's awaitd."""
    stamp = VENV / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {REQUIREMENTS} into {VENV}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
        # As an editable install does it. (A server installed from a wheel lends its package; one of a working tree doesn't.)
        (site_packages,) = VENV.glob("lib/python*/site-packages")
        (site_packages / "awaitd.pth").write_text(f"{ROOT / 'python'}\n")
        stamp.write_text(wanted)
    return VENV


def versions() -> dict[str, str]:
    """Of each distribution, as requirements.txt pins it."""
    return dict(pin.split("==") for pin in REQUIREMENTS.read_text().split() if "==" in pin)
