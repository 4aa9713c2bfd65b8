"""`python -m training` on a machine that has the node alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from training.__main__ import INSTALL

WITHOUT = """
import runpy, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
runpy.run_module("training", run_name="__main__")
"""


def run_without(module: str, root: Path) -> subprocess.CompletedProcess[str]:
    """`python -m training --help` where a module is not there."""
    code = WITHOUT.replace("MODULE", repr(module))
    return subprocess.run(
        [sys.executable, "-c", code, "--help"], cwd=root, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("package", ["torch", "sklearn", "typer"])
def test_a_package_that_is_missing_is_named_in_one_sentence_with_the_command_that_brings_it(package, root) -> None:
    ended = run_without(package, root)
    assert ended.returncode == 2
    assert ended.stderr == f"python -m training needs {package}, which is not installed; this installs all: {INSTALL}\n"


def test_a_part_of_our_own_that_is_missing_is_a_fault_with_its_traceback(root) -> None:
    ended = run_without("training.cli", root)
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


def test_the_readme_has_the_command(root) -> None:
    assert INSTALL in (root / "README.md").read_text()
    assert (root / "requirements" / "lock.txt").is_file()
