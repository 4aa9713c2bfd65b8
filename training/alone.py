"""One command at a time in a folder: of two that write there at once, each would leave half of its result."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from training.errors import TrainingError


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made unless it is there, against other commands until the context ends or the process
    does. Nothing is written into it for this; one that was made here, and in which nothing was left, goes again.

    Raises:
        TrainingError: another command has it.
        OSError: it cannot be made or opened.
    """
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        if not was_there:
            with suppress(OSError):  # something lies in it
                folder.rmdir()
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TrainingError(
            f"Another command is writing to {folder}: wait until it has ended, or choose another --out."
        ) from error
    except OSError:  # a network's file system may have no locks of folders; there, nobody is kept out
        return
