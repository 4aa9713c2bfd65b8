"""What a number was measured on; every printed table carries it."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def conditions() -> str:
    """One line: cores, system, Python, the libraries that matter, the commit."""
    libraries = " ".join(f"{name} {version(name)}" for name in ("pynetdicom", "sqlalchemy"))
    return (
        f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}, {libraries}, {_commit()}"
    )


def _commit() -> str:
    try:
        git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]  # whatever git the user has
        return "commit " + subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
