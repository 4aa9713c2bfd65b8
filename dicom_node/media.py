"""Files to work on, found in what people name: single files, folders, DICOMDIR media and zip archives."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PICTURES = frozenset({".png", ".jpg", ".jpeg"})
ZIPS = frozenset({".zip"})
# A single radiograph is far below this; an archive member that claims more is a bomb or no image.
LARGEST_MEMBER = 4 << 30


@dataclass(frozen=True, kw_only=True)
class MediaFile:
    """One candidate. `label` is what to show of it: its path, or archive and member; `named`: the user named it, so
    that it may not be passed over in silence when it is no image.
    """

    path: Path
    label: str
    named: bool = False

    @property
    def is_picture(self) -> bool:
        return self.path.suffix.lower() in PICTURES


@contextmanager
def media_files(paths: Sequence[Path]) -> Iterator[list[MediaFile]]:
    """Every file under the given paths, in order; archives are unpacked to a temporary folder for as long as the
    context is open. A DICOMDIR stands for the medium that it lies on. Raises FileNotFoundError, zipfile.BadZipFile.
    """
    with tempfile.TemporaryDirectory(prefix="region-node-") as folder:
        yield [found for path in paths for found in _found(path, Path(folder))]


def _found(path: Path, folder: Path) -> Iterator[MediaFile]:
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    if path.is_dir():
        yield from _in_folder(path, folder)
    elif path.name.upper() == "DICOMDIR":
        yield from _in_folder(path.parent, folder)
    elif path.suffix.lower() in ZIPS:
        yield from _in_archive(path, folder)
    else:
        yield MediaFile(path=path, label=str(path), named=True)


def _in_folder(top: Path, folder: Path) -> Iterator[MediaFile]:
    for path in sorted(top.rglob("*")):
        if not path.is_file() or path.name.upper() == "DICOMDIR" or path.name.startswith("."):
            continue
        if path.suffix.lower() in ZIPS:
            yield from _in_archive(path, folder)
        else:
            yield MediaFile(path=path, label=str(path))


def _in_archive(archive: Path, folder: Path) -> Iterator[MediaFile]:
    with zipfile.ZipFile(archive) as opened:
        for number, member in enumerate(opened.infolist()):
            name = Path(member.filename)
            if member.is_dir() or name.name.upper() == "DICOMDIR" or member.file_size > LARGEST_MEMBER:
                continue
            # Member names come from a stranger: only the suffix is kept, so that no path can leave the folder.
            target = Path(tempfile.mkdtemp(dir=folder)) / f"{number}{name.suffix.lower()}"
            with opened.open(member) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            yield MediaFile(path=target, label=f"{archive}:{member.filename}")
