"""The image cache: every picture once through the node's own imaging, kept as uint8."""

import csv
import json
import os.path
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from dicom_node.errors import UndecodableError
from dicom_node.imaging import IMAGING_VERSION, model_input, picture_from_file
from training.errors import TrainingError
from training.manifest import COLUMNS, Row, read_manifest

UInt8Array = npt.NDArray[np.uint8]

IMAGES, MANIFEST, ABOUT, UNREADABLE = "images.npy", "manifest.csv", "about.json", "unreadable.csv"


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
        """The rows for which `keep` is true."""
        chosen = [index for index, row in enumerate(self.rows) if keep(row)]
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
    good, bad = read_pictures(rows, size=size, workers=workers, advance=advance)
    return write_set(good, out, size=size, unreadable=bad)


def read_pictures(
    rows: Sequence[Row], *, size: int, workers: int, advance: Callable[[int], None] = lambda _n: None
) -> tuple[list[tuple[Row, UInt8Array]], list[tuple[str, str]]]:
    """Decode, clean and fit every row's picture: those that can be read, and the others' files with why not."""
    results: list[UInt8Array | str] = []
    # Not forked: OpenCV's own threads do not come along into a forked child, which then waits for them for ever.
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        for result in pool.map(partial(_prepare_one, size=size), [row.file for row in rows], chunksize=16):
            results.append(result)
            advance(1)
    good = [(row, image) for row, image in zip(rows, results, strict=True) if not isinstance(image, str)]
    bad = [(str(row.file), why) for row, why in zip(rows, results, strict=True) if isinstance(why, str)]
    return good, bad


def write_set(
    good: Sequence[tuple[Row, UInt8Array]], out: Path, *, size: int, unreadable: Sequence[tuple[str, str]] = ()
) -> ImageSet:
    """Write images with their rows as a prepared data set, and beside them what could not be read, with why.

    What says that the set is whole goes first and comes back last: one that was killed is not taken for finished.

    Raises:
        TrainingError: there is not one image.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / ABOUT).unlink(missing_ok=True)
    _write_csv(out / UNREADABLE, ("file", "reason"), unreadable)
    if not good:
        raise TrainingError(f"Not one of the {len(unreadable)} pictures could be read; {out / UNREADABLE} says why.")
    made = ImageSet(images=np.stack([image for _, image in good]), rows=tuple(row for row, _ in good))
    np.save(out / IMAGES, made.images)
    _write_csv(out / MANIFEST, COLUMNS, [_line(row, out) for row in made.rows])
    declare_whole(out, size=size, n=len(good), unreadable=len(unreadable))
    return made


def declare_whole(out: Path, *, size: int, n: int, unreadable: int = 0) -> None:
    """Say, as the last thing, that `out` holds a whole set of `n` images of `size` px; all at once or not at all."""
    about = {"imaging_version": IMAGING_VERSION, "size": size, "n": n, "unreadable": unreadable}
    written = out / (ABOUT + ".new")
    written.write_text(json.dumps(about) + "\n", encoding="utf-8")
    written.replace(out / ABOUT)


def load(path: Path, *, mapped: bool = False) -> ImageSet:
    """Load a prepared folder (or its manifest.csv); `mapped` leaves the pixels in the file until they are asked for.

    Raises:
        TrainingError: it was not prepared, or with another imaging version, or its manifest has not one row for each
            image.
    """
    folder = path if path.is_dir() else path.parent
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        images = np.load(folder / IMAGES, mmap_mode="r" if mapped else None)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder} is not a prepared data set: run `python -m training prepare` first.") from error
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
    """Several sets as one.

    Raises:
        TrainingError: they differ in size, or there are none.
    """
    if len({each.size for each in sets}) != 1:
        raise TrainingError("The data sets were prepared at different sizes; prepare them with one recipe.")
    return ImageSet(
        images=np.concatenate([each.images for each in sets]), rows=tuple(row for each in sets for row in each.rows)
    )


def _prepare_one(file: Path, size: int) -> UInt8Array | str:
    cv2.setNumThreads(1)  # the pool already uses every core
    try:
        return np.round(model_input(picture_from_file(file), size) * 255.0).astype(np.uint8)
    except (UndecodableError, OSError) as error:
        return str(error)


def _line(row: Row, folder: Path) -> tuple[str, ...]:
    return (os.path.relpath(row.file, folder), *(str(getattr(row, name)) for name in COLUMNS[1:]))


def _write_csv(path: Path, header: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(lines)
