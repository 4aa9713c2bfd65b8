"""Which nodes share this spool now, and whether they are configured alike.

An image is settled by whichever of them claims it first. Each keeps a file with a fingerprint of its configuration in
the spool, and a lock on it as long as it lives: the system lets go of that however a node ends.
"""

import fcntl
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import structlog

log = structlog.get_logger(__name__)


class Presence:
    """That a node is there, for others on the same spool to see."""

    def __init__(self, spool: Path, *, name: str, fingerprint: str) -> None:
        self._folder = spool / "nodes"
        self._own = self._folder / name
        self._fingerprint = fingerprint
        self._file: TextIO | None = None

    def announce(self) -> list[str]:
        """Be seen, and return the names of living nodes that have another fingerprint; none where that cannot be told:
        no image waits for this.
        """
        try:
            self._folder.mkdir(exist_ok=True)
            self._file = self._own.open("w", encoding="ascii")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.write(self._fingerprint)
            self._file.flush()
            others = [path for path in self._folder.iterdir() if path != self._own]
            return sorted(path.name for path in others if self._differs(path))
        except OSError as error:
            log.warning("nodes_not_compared", folder=str(self._folder), error=error.strerror)
            return []

    def leave(self) -> None:
        """Be seen no more."""
        if self._file is not None:
            with suppress(OSError):  # a disk that is away: without its lock the file says nothing
                self._own.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _differs(self, other: Path) -> bool:
        """Also removes what a node that has ended left behind."""
        with suppress(FileNotFoundError), other.open("r+", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read() != self._fingerprint
            other.unlink()
        return False
