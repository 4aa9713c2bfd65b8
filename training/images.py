"""The image cache: every picture once through the node's own imaging, kept as uint8."""

import json
import os.path
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from dicom_node.errors import UndecodableError
from dicom_node.imaging import IMAGING_VERSION, model_input, picture_from_file
from training.errors import TrainingError
from training.image_file import growing, in_order
from training.manifest import COLUMNS, Row, check_groups, read_manifest
from training.table_files import write_table

UInt8Array = npt.NDArray[np.uint8]

IMAGES, MANIFEST, ABOUT, UNREADABLE = "images.npy", "manifest.csv", "about.json", "unreadable.csv"
BLOCK = 16
"""Pictures that a worker reads at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """`images` (N, S, S) uint8, as the model sees them times 255, and one row each."""

    images: UInt8Array
    rows: tuple[Row, ...]

    @property
    def size(self) -> int:
        """The side of an image in pixels."""
        return int(self.images.shape[1])

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """(N,) region index or `OOD`."""
        return np.array([row.target for row in self.rows], np.int64)

    def where(self, keep: Callable[[Row], bool]) -> Self:
        """The rows for which `keep` is true; without a copy where those are all."""
        chosen = [index for index, row in enumerate(self.rows) if keep(row)]
        if len(chosen) == len(self.rows):
            return self
        return replace(self, images=self.images[chosen], rows=tuple(self.rows[index] for index in chosen))


def prepare(
    rows: Sequence[Row], *, size: int, out: Path, workers: int, advance: Callable[[int], None] = lambda _n: None
) -> ImageSet:
    """Decode, clean and fit every row's picture and write the cache to `out`; what cannot be read is listed there,
    with why.

    `out` is a data set of its own afterwards: its `manifest.csv` names the pictures that the cache was made from.

    Raises:
        TrainingError: not one picture could be read.
    """
    return write_set(read_pictures(rows, size=size, workers=workers, advance=advance), out, size=size)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A file that gives no image, with why; `instead` replaces the earlier row of the same file that it names."""

    file: str
    why: str
    instead: Row | None = None


Picture = tuple[Row, UInt8Array]


def read_pictures(
    rows: Sequence[Row], *, size: int, workers: int, advance: Callable[[int], None] = lambda _n: None
) -> Iterator[Picture | LeftOut]:
    """Decode, clean and fit every row's picture: in order, and never more than a few in memory at once."""
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    # Not forked: OpenCV's own threads do not come along into a forked child, which then waits for them for ever.
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        for made in in_order(pool, partial(_prepare_block, size=size), blocks, ahead=4 * workers):
            yield from made
            advance(len(made))


def write_set(items: Iterable[Picture | LeftOut], out: Path, *, size: int) -> ImageSet:
    """Write images with their rows, as they come, as a prepared data set, and beside them what was left out, with why.

    What says that the set is whole goes first and comes back last: one that was killed is not taken for finished.

    Returns:
        The set, with its pixels left in the file.

    Raises:
        TrainingError: there is not one image, or a group (a patient) has rows of more than one use, or somebody has
            changed the manifest that is there.
    """
    check_not_corrected(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / ABOUT).unlink(missing_ok=True)
    taken = _Taken()
    with growing(out / IMAGES, size=size) as append:
        for item in items:
            if isinstance(item, LeftOut):
                taken.leave_out(item)
            else:
                taken.take(*item)
                append(item[1])
    write_table(out / UNREADABLE, ("file", "reason"), [(each.file, each.why) for each in taken.left_out])
    if not taken.rows and not taken.left_out:
        raise TrainingError("There is no image in what was given: no DICOM object, and no picture as PNG or JPEG.")
    if not taken.rows:
        raise TrainingError(
            f"Not one of the {len(taken.left_out)} pictures could be read; {out / UNREADABLE} says why."
        )
    check_groups(taken.rows)
    write_table(out / MANIFEST, COLUMNS, [_line(row, out) for row in taken.rows])
    declare_whole(out, size=size, n=len(taken.rows), unreadable=len(taken.left_out), twins=taken.twins)
    return ImageSet(images=_pixels(out, mapped=True), rows=tuple(taken.rows))


class _Taken:
    """The rows of a set that is being written, what was left out, and how many `twins` there are: images that show the
    very pixels of an earlier one of another group or use.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.left_out: list[LeftOut] = []
        self.twins = 0
        self._place: dict[Path, int] = {}
        self._first: dict[bytes, Row] = {}

    def take(self, row: Row, image: UInt8Array) -> None:
        earlier = self._first.setdefault(sha256(image.tobytes()).digest(), row)
        self.twins += (earlier.group, earlier.use) != (row.group, row.use)
        self._place[row.file] = len(self.rows)
        self.rows.append(row)

    def leave_out(self, item: LeftOut) -> None:
        self.left_out.append(item)
        if item.instead is not None:
            self.rows[self._place[item.instead.file]] = item.instead


def declare_whole(out: Path, *, size: int, n: int, unreadable: int = 0, twins: int = 0) -> None:
    """Say, as the last thing, that `out` holds a whole set of `n` images of `size` px; all at once or not at all."""
    about = {
        "imaging_version": IMAGING_VERSION,
        "size": size,
        "n": n,
        "unreadable": unreadable,
        "twins": twins,
        "manifest": _digest(out / MANIFEST),
    }
    written = out / (ABOUT + ".new")
    written.write_text(json.dumps(about) + "\n", encoding="utf-8")
    written.replace(out / ABOUT)


def check_not_corrected(out: Path) -> None:
    """Refuse, before anything is read, to write another set over one whose labels somebody has corrected.

    Raises:
        TrainingError: the manifest in `out` is not the one that was written with its images.
    """
    try:
        written = json.loads((out / ABOUT).read_text(encoding="utf-8")).get("manifest")
    except (OSError, ValueError, AttributeError):
        return
    # Folders of older releases do not say what was written.
    if written is not None and (out / MANIFEST).exists() and _digest(out / MANIFEST) != written:
        raise TrainingError(
            f"{out / MANIFEST} was changed after it had been written, and what somebody corrected there would be lost: "
            f"give another --out, for which `prepare --data {out / MANIFEST}` takes the corrections along; or move the "
            "file away."
        )


def _digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def load(path: Path, *, mapped: bool = False) -> ImageSet:
    """Load a prepared folder (or its manifest.csv); `mapped` leaves the pixels in the file until they are asked for.

    Raises:
        TrainingError: it was not prepared, or with another imaging version, or its manifest has not one row for each
            image; or `path` is another file in it.
    """
    if not path.exists():
        raise TrainingError(f"There is no file or folder {path}: name a folder that `prepare` made.")
    folder = path if path.is_dir() else path.parent
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        images = _pixels(folder, mapped=mapped)
    except (OSError, ValueError) as error:
        where = folder if path == folder else f"The folder of {path}"
        raise TrainingError(f"{where} is not a prepared data set: run `python -m training prepare` first.") from error
    if path != folder and path.name != MANIFEST:
        raise TrainingError(
            f"{path} lies in a prepared data set, whose rows are those of its {MANIFEST}: write the labels in there, "
            f"or make another set of it with `python -m training prepare --data {path} --out ...`."
        )
    if about["imaging_version"] != IMAGING_VERSION:
        raise TrainingError(
            f"{folder} was prepared with imaging version {about['imaging_version']}, "
            f"this is {IMAGING_VERSION}: prepare again."
        )
    rows = tuple(read_manifest(folder / MANIFEST))
    if not len(rows) == len(images) == about["n"]:
        raise TrainingError(
            f"{folder} was prepared with {about['n']} images, but has {len(images)}, and {len(rows)} rows in "
            f"{MANIFEST}: prepare again."
        )
    return ImageSet(images=images, rows=rows)


def joined(sets: Sequence[ImageSet]) -> ImageSet:
    """Several sets as one; a single one as it is, without a copy.

    Raises:
        TrainingError: they differ in size, or there are none.
    """
    if len({each.size for each in sets}) != 1:
        raise TrainingError("The data sets were prepared at different sizes; prepare them with one recipe.")
    if len(sets) == 1:
        return sets[0]
    return ImageSet(
        images=np.concatenate([each.images for each in sets]), rows=tuple(row for each in sets for row in each.rows)
    )


def _pixels(folder: Path, *, mapped: bool) -> UInt8Array:
    return np.asanyarray(np.load(folder / IMAGES, mmap_mode="r" if mapped else None))


def _prepare_block(rows: Sequence[Row], size: int) -> list[Picture | LeftOut]:
    cv2.setNumThreads(1)  # the pool already uses every core
    return [_prepared(row, size) for row in rows]


def _prepared(row: Row, size: int) -> Picture | LeftOut:
    try:
        return row, np.round(model_input(picture_from_file(row.file), size) * 255.0).astype(np.uint8)
    except (UndecodableError, OSError) as error:
        return LeftOut(file=str(row.file), why=str(error))


def _line(row: Row, folder: Path) -> tuple[str, ...]:
    return (os.path.relpath(row.file, folder), *(str(getattr(row, name)) for name in COLUMNS[1:]))
