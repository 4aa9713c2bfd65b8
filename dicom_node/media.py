"""Files to work on, found in what people name: single files, folders, DICOMDIR media and zip archives."""

import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from dicom_node.errors import NotUnderstoodError

PICTURES = frozenset({".png", ".jpg", ".jpeg"})
ZIPS = frozenset({".zip"})
# A single radiograph is far below this; an archive member that claims more is a bomb or no image.
LARGEST_MEMBER = 4 << 30
# A folder may hold more archives than a process may open files; reading one's directory anew for each member is slow.
OPEN_ARCHIVES = 8

OpenArchive = Callable[[Path], zipfile.ZipFile]


@dataclass(frozen=True, kw_only=True)
class MediaFile:
    """One candidate. `label` is what to show of it: its path, or archive and member; `named`: the user named it, so
    that it may not be passed over in silence when it is no image.

    `opened()` is a context with the file's path; a member of an archive is unpacked for only so long. It raises
    NotUnderstoodError when there is nothing to open: the archive is damaged, the member encrypted, the folder locked.
    """

    label: str
    suffix: str
    opened: Callable[[], AbstractContextManager[Path]]
    named: bool = False

    @property
    def is_picture(self) -> bool:
        return self.suffix.lower() in PICTURES


@contextmanager
def media_files(paths: Sequence[Path]) -> Iterator[list[MediaFile]]:
    """Every file under the given paths, in order; they can be opened as long as the context is.

    A DICOMDIR stands for the medium that it lies on. Raises FileNotFoundError.
    """
    open_archive = lru_cache(maxsize=OPEN_ARCHIVES)(zipfile.ZipFile)
    try:
        yield [found for path in paths for found in _found(path, open_archive)]
    finally:
        open_archive.cache_clear()


def _found(path: Path, open_archive: OpenArchive) -> Iterator[MediaFile]:
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    if path.is_dir():
        yield from _in_folder(path, open_archive)
    elif path.name.upper() == "DICOMDIR":
        yield from _in_folder(path.parent, open_archive)
    elif path.suffix.lower() in ZIPS:
        yield from _in_archive(path, open_archive)
    else:
        yield MediaFile(label=str(path), suffix=path.suffix, opened=partial(_in_place, path), named=True)


def _in_folder(top: Path, open_archive: OpenArchive) -> Iterator[MediaFile]:
    locked: list[OSError] = []
    paths = sorted(Path(folder, name) for folder, _, names in os.walk(top, onerror=locked.append) for name in names)
    for error in locked:
        yield _refused(Path(error.filename), f"the folder cannot be read: {error.strerror}")
    for path in paths:
        if path.name.upper() == "DICOMDIR" or path.name.startswith("."):
            continue
        try:
            regular = stat.S_ISREG(path.stat().st_mode)
        except FileNotFoundError:  # a link that leads nowhere
            continue
        except OSError as error:
            yield _refused(path, f"the file cannot be read: {error.strerror}")
            continue
        if regular and path.suffix.lower() in ZIPS:
            yield from _in_archive(path, open_archive)
        elif regular:
            yield MediaFile(label=str(path), suffix=path.suffix, opened=partial(_in_place, path))


def _in_archive(archive: Path, open_archive: OpenArchive) -> Iterator[MediaFile]:
    try:
        members = open_archive(archive).infolist()
    except Exception as error:  # noqa: BLE001 - zipfile raises whatever the damage leads to
        yield _refused(archive, f"the archive cannot be read: {_why(error)}")
        return
    for member in members:
        name = Path(member.filename)
        if not member.is_dir() and name.name.upper() != "DICOMDIR":
            opened = partial(_unpacked, open_archive, archive, member)
            yield MediaFile(label=f"{archive}:{member.filename}", suffix=name.suffix, opened=opened)


def _in_place(path: Path) -> AbstractContextManager[Path]:
    return nullcontext(path)


@contextmanager
def _unpacked(open_archive: OpenArchive, archive: Path, member: zipfile.ZipInfo) -> Iterator[Path]:
    if member.flag_bits & 1:
        raise NotUnderstoodError("it is encrypted: unpack the archive with its password first")
    if member.file_size > LARGEST_MEMBER:
        raise NotUnderstoodError(f"it is larger than the {LARGEST_MEMBER >> 30} GiB up to which members are unpacked")
    with ExitStack() as stack:
        try:
            # Member names come from a stranger: none is used, so that no path can leave the folder.
            target = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="region-node-")), "member")
            with open_archive(archive).open(member) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        except Exception as error:
            raise NotUnderstoodError(f"it cannot be unpacked: {_why(error)}") from error
        yield target


def _refused(path: Path, sentence: str) -> MediaFile:
    """What cannot even be looked into, so that it is counted and said."""

    @contextmanager
    def opened() -> Iterator[Path]:
        raise NotUnderstoodError(sentence)
        yield path

    return MediaFile(label=str(path), suffix=path.suffix, opened=opened, named=True)


def _why(error: Exception) -> str:
    return error.strerror or "input or output failed" if isinstance(error, OSError) else "it is damaged"
