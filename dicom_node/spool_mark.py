"""The mark of a spool: a file with an id, by which a folder is known as a spool, and as which one."""

import fcntl
import os
import uuid
from contextlib import suppress
from pathlib import Path

from dicom_node.durable import sync_folder
from dicom_node.errors import OutOfResourcesError
from dicom_node.owner import account_of

# Lies in every spool, with an id: a folder without it is not the spool, but where its disk should be mounted.
MARK = "region-node-spool"


def id_in(root: Path) -> str:
    """The id in a folder's mark; empty where it has none yet, or cannot be read."""
    try:
        return _id_of((root / MARK).read_bytes())
    except OSError:
        return ""


def give_id(root: Path, temporary: Path) -> None:
    """Give a folder's mark an id, if it has none; `temporary`: a path on the same disk that is free.

    Raises OSError, and OutOfResourcesError, naming whose the mark is, where that stops it.
    """
    mark = root / MARK
    try:
        with mark.open("ab+") as file:
            _lock(file.fileno())
            file.seek(0)
            if not _id_of(file.read()):
                file.write(_new_id())
                file.flush()
                os.fsync(file.fileno())
    except PermissionError:
        if not mark.exists():
            raise
        _replace(mark, temporary)
    sync_folder(root)


def _replace(mark: Path, temporary: Path) -> None:
    """A mark that somebody else has put there, as root by hand, cannot be written; the folder is ours."""
    folder = os.open(mark.parent, os.O_RDONLY)
    try:
        _lock(folder)
        if id_in(mark.parent):
            return
        if not _is_surely_without(mark):
            raise PermissionError
        with temporary.open("xb") as file:
            file.write(_new_id())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(mark)
    except PermissionError as error:
        temporary.unlink(missing_ok=True)
        raise OutOfResourcesError(
            f"{mark} belongs to {account_of(mark)} and cannot be read or replaced: give it to the node's user (chown)"
        ) from error
    finally:
        os.close(folder)


def _is_surely_without(mark: Path) -> bool:
    """Whether a mark has no id, also where it cannot be read: an id in it would be lost."""
    try:
        return not _id_of(mark.read_bytes())
    except PermissionError:
        return mark.stat().st_size == 0


def _lock(descriptor: int) -> None:
    """Until the descriptor is closed."""
    with suppress(OSError):  # where a file system has no locks, two that begin at once may be told apart
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _new_id() -> bytes:
    return f"{uuid.uuid4().hex}\n".encode()


def _id_of(mark: bytes) -> str:
    # A power cut may leave zeros; an editor, a line end of its own.
    return mark.replace(b"\0", b"").decode("ascii", "replace").strip()
