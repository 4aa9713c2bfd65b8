"""What is on the disk also after a power cut."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk: a rename is there only with its folder (fsync(2))."""
    _sync(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))


def sync_file(path: Path) -> None:
    """Bring to the disk what a file holds, whoever wrote it."""
    _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
