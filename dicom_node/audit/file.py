"""Audit messages in a file, a line each: readable by the node's user alone, rotated by size, shared by processes."""

import fcntl
import os
from pathlib import Path

from dicom_node.errors import TransientError

MODE = 0o600


class AuditFile:
    """Appends under a lock of the file, so that several processes may write to one and any of them rotate it.

    `audit.xml` becomes `audit.xml.1`, that `.2`, and what would be beyond `keep` is removed. Not fsynced: the messages
    of the last seconds before a power failure may be lost, and the ledger knows more of them anyway.
    """

    def __init__(self, path: Path, *, longest: int, keep: int) -> None:
        """`longest`: bytes after which the file is rotated. `keep`: rotated files that stay."""
        self._path = path
        self._longest = longest
        self._keep = keep
        self._file = -1

    def write(self, message: bytes) -> None:
        """Append a line. Raises TransientError naming the file."""
        try:
            self._append(message + b"\n")
        except OSError as error:
            raise TransientError(f"audit.file: {self._path} cannot be written ({error.strerror})") from error

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: bytes) -> None:
        self._lock()
        try:
            if os.fstat(self._file).st_size >= self._longest:
                self._rotate()
            _write_all(self._file, line)
        finally:
            if self._file >= 0:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _lock(self) -> None:
        """Hold the lock of the file that bears the name now: another process may just have rotated ours away."""
        while True:
            if self._file < 0:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
                os.fchmod(self._file, MODE)  # also where it was there before, with other rights
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if _same(self._file, self._path):
                return
            self.close()

    def _rotate(self) -> None:
        for number in range(self._keep, 0, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        if self._keep == 0:
            self._path.unlink(missing_ok=True)
        self.close()
        self._lock()

    def _numbered(self, number: int) -> Path:
        return self._path if number == 0 else self._path.with_name(f"{self._path.name}.{number}")


def _same(file: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _write_all(file: int, content: bytes) -> None:
    """All or, on a full disk, nothing: what comes later must not stand behind half a message."""
    before = os.fstat(file).st_size
    try:
        while content:
            content = content[os.write(file, content) :]
    except OSError:
        os.ftruncate(file, before)
        raise
