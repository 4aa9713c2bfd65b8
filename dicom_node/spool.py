"""Durable files: an object is here whole, on stable storage, under a name made from its content, or not at all."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryFile
from time import time
from typing import BinaryIO, Self, cast

import structlog

from dicom_node.content import Content, in_pieces
from dicom_node.durable import sync_folder
from dicom_node.errors import OutOfResourcesError, WrongLedgerError
from dicom_node.owner import is_dead, own_name
from dicom_node.spool_mark import MARK, give_id, id_in

log = structlog.get_logger(__name__)

# Longer than any write or transcoding takes: a process of another machine may share the spool and be in the middle of
# one. Those of this machine are asked for.
ORPHAN_AGE = timedelta(hours=6)
# Between the owner's name and the rest, in the name of a temporary file.
_BY = "--"
# Letters of a digest that make a folder's name. Each folder is made durable once, which takes as long as a file: with
# 256 of them that is soon over, and a million files are 4,000 in each.
_FANNED = 2


class Spool:
    """A folder of files named by digest, `ab/<digest>.dcm`, with `tmp/` beside them on the same file system.

    `reserve_bytes`: free space that is never used for objects, so that ledger and logs can still be written. Every
    number of threads and processes may share one spool: whoever writes a digest twice writes the same bytes.
    """

    def __init__(self, root: Path, reserve_bytes: int) -> None:
        self._root = root
        self._reserve = reserve_bytes
        self._tmp = root / "tmp"
        self._owner = own_name()
        self._synced: set[str] = set()
        self._marked = False

    @classmethod
    def opened(
        cls, root: Path, reserve_bytes: int, *, expected: Callable[[], bool], belongs: str | None = None
    ) -> Self:
        """The spool in a folder that bears our mark, or gets it now; whoever writes opens it so.

        `expected`: whether there has to be a spool, asked only where nothing is; `belongs`: its id, where that is
        known. From then on nothing is written while the mark is away: what is written where a disk should be mounted
        is hidden as soon as it is. Raises OutOfResourcesError.
        """
        spool = cls(root, reserve_bytes)
        if not spool._bears_the_mark() and not spool._object_folders() and expected():
            way_out = f"a file {MARK} with the line {belongs}" if belongs else f"an empty file with the name {MARK}"
            raise OutOfResourcesError(
                f"the ledger has its images in a spool, and {root} is empty: mount its disk, or share that folder "
                "with the other nodes on this ledger; a node by itself has a ledger of its own ([ledger] url). If all "
                f"of the images are lost for good, put {way_out} there"
            )
        spool._mark()
        spool._marked = True
        return spool

    @property
    def id(self) -> str:
        """What tells this spool from others, wherever it lies; empty as long as nobody has `opened` it."""
        return id_in(self._root)

    def check_is(self, belongs: str) -> None:
        """Raises WrongLedgerError unless this is the spool with that id, OutOfResourcesError when it is not here."""
        self.check_marked()
        if self.id != belongs:
            raise WrongLedgerError(
                f"{self._root} is not the spool in which this ledger has its images: nodes on one ledger have to share "
                "that folder (node.data_dir), and a node by itself has a ledger of its own ([ledger] url). A spool "
                "that is moved or restored brings its mark along; if these surely are this ledger's files, write "
                f"{belongs} into {self._root / MARK}"
            )

    def is_here(self) -> bool:
        """False when it was here once and is no longer: its disk is not mounted."""
        return not self._marked or self._bears_the_mark()

    def check_here(self) -> None:
        """Raises OutOfResourcesError when it is not here."""
        if not self.is_here():
            raise self._away()

    def check_marked(self) -> None:
        """As `check_here`, for whoever reads a spool that he has not `opened`: it has to bear the mark."""
        if not self._bears_the_mark():
            raise self._away()

    def _away(self) -> OutOfResourcesError:
        return OutOfResourcesError(f"the spool {self._root} is not there: check that its disk is mounted")

    def _bears_the_mark(self) -> bool:
        try:
            return (self._root / MARK).is_file()
        except OSError:  # a disk that cannot even be asked is as good as away
            return False

    def _mark(self) -> None:
        """Give the spool its id, if it has none: one that is new, or of the time before there were ids."""
        if self.id:
            return
        try:
            self._make_folder(self._root)
            self._make_folder(self._tmp)
            give_id(self._root, self._temporary())
        except OSError as error:
            raise OutOfResourcesError(f"the spool {self._root} cannot be written: {error.strerror}") from error

    def write(self, digest: str, header: bytes, dataset: Content) -> str:
        """Put header and data set into one file and return its path relative to the spool, once it is durable.

        Raises OutOfResourcesError when the disk does not take it; then no file of that name has appeared. A file that
        was there under this name stays or is replaced by the same content, never damaged.
        """
        self.check_here()
        relative = _place_of(digest)
        target = self._root / relative
        temporary = self._temporary()
        try:
            self._make_folder(target.parent)
            self._make_folder(self._tmp)
            _write_durably(temporary, header, in_pieces(dataset))
            temporary.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise OutOfResourcesError(f"the spool cannot be written: {error.strerror}") from error
        return relative

    def holds(self, digest: str) -> bool:
        """Whether the file of that content is here, at the place where `write` would put it."""
        return self.path(_place_of(digest)).is_file()

    def path(self, relative: str) -> Path:
        """Where a file of this spool lies."""
        return self._root / relative

    def room(self) -> int:
        """Free bytes on the spool's disk that this process may use. Raises OutOfResourcesError when it is not there."""
        self.check_here()
        try:
            self._make_folder(self._root)
            disk = os.statvfs(self._root)
        except OSError as error:
            raise OutOfResourcesError(f"the spool cannot be reached: {error.strerror}") from error
        return disk.f_bavail * disk.f_frsize

    def check_room(self, size: int) -> None:
        """Raise OutOfResourcesError when `size` more bytes would touch the reserve."""
        room = self.room()
        if room - size < self._reserve:
            raise OutOfResourcesError(
                f"{room} bytes are free on the spool's disk, {self._reserve} are kept in reserve: make room on it"
            )

    def unnamed(self) -> BinaryIO:
        """A file on the spool's disk that no crash leaves behind. Raises OutOfResourcesError."""
        self.check_here()
        try:
            self._make_folder(self._tmp)
            return cast("BinaryIO", TemporaryFile(dir=self._tmp))
        except OSError as error:
            raise OutOfResourcesError(f"the spool cannot be written: {error.strerror}") from error

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A path for a temporary copy, on the spool's disk; what is written there goes when the context ends.

        Raises OutOfResourcesError when there is no place for temporary files.
        """
        self.check_here()
        path = self._temporary()
        try:
            self._make_folder(self._tmp)
        except OSError as error:
            raise OutOfResourcesError(f"the spool cannot be written: {error.strerror}") from error
        try:
            yield path
        finally:
            _discard(path)

    def sweep(self, older_than: timedelta = ORPHAN_AGE) -> int:
        """Remove temporary files that a crash left behind, and say how many. For start-up, and when a process died.

        Those whose process is surely dead go at once; where that cannot be told, those older than any write takes.
        """
        oldest = time() - older_than.total_seconds()
        removed = 0
        for path in self._tmp.glob("*"):
            with suppress(FileNotFoundError):  # another process swept it
                if is_dead(path.name.rpartition(_BY)[0]) or path.stat().st_mtime < oldest:
                    _discard(path)
                    removed += 1
        if removed:
            log.info("spool_swept", removed=removed)
        return removed

    def files(self) -> Iterator[str]:
        """The objects that are here, relative to the spool, by name; what comes meanwhile may be among them."""
        for folder in self._object_folders():
            for path in sorted(folder.rglob("*.dcm")):
                yield path.relative_to(self._root).as_posix()

    def _object_folders(self) -> list[Path]:
        return [path for path in _sorted(self._root) if len(path.name) == _FANNED]

    def remove(self, relative: str) -> None:
        """Remove a file; one that is gone already is fine."""
        self.path(relative).unlink(missing_ok=True)

    def _temporary(self) -> Path:
        return self._tmp / f"{self._owner}{_BY}{uuid.uuid4().hex}.part"

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and its parents durable: a file is not safe in a folder that a power cut may undo.

        Once per process that is done for folders that are there, too: whoever made them may have died before this.
        """
        found = folder.is_dir()
        if found and str(folder) in self._synced:
            return
        if folder.parent != folder:
            self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        try:
            sync_folder(folder.parent)
        except PermissionError:
            # Folders above the spool may be somebody else's: not ours to read, and not made by us.
            if not found or folder.is_relative_to(self._root):
                raise
        self._synced.add(str(folder))


def _place_of(digest: str) -> str:
    return f"{digest[:_FANNED]}/{digest}.dcm"


def _sorted(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _write_durably(path: Path, header: bytes, pieces: Iterable[bytes]) -> None:
    with path.open("xb") as file:
        file.write(header)
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
