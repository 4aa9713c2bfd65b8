"""Another account than root's, whom no permission stops."""

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of the superuser."""
    codecs.lookup("ascii")  # an interpreter in root's home has nothing more to give to others
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """A folder that is nobody's, and that nobody reaches; skips the test where only one account can be had."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to have two accounts")
    with TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, -1)
        yield Path(folder)
