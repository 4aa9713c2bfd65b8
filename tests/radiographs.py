"""Real radiographs as DICOM objects: pictures of the shared folder, wrapped as a modality would send them."""

import csv
from collections import defaultdict
from pathlib import Path

import cv2
from pydicom import FileDataset, dcmwrite
from pydicom.uid import generate_uid

from tests.corrected_objects import cr, dx


def pictures(shared: Path, *, use: str | None = None, region: str | None = None) -> list[Path]:
    """The real pictures of the shared folder with a `use` and a region, in the order of the manifest."""
    folder = shared / "data" / "radiographs"
    with (folder / "manifest.csv").open(encoding="utf-8") as text:
        return [
            folder / row["file"]
            for row in csv.DictReader(text)
            if (use is None or row["use"] == use) and (region is None or row["region"] == region)
        ]


def of_every_source(shared: Path, count: int) -> list[Path]:
    """The first `count` real pictures of each region in each source."""
    folder = shared / "data" / "radiographs"
    chosen: dict[tuple[str, str], list[Path]] = defaultdict(list)
    with (folder / "manifest.csv").open(encoding="utf-8") as text:
        for row in csv.DictReader(text):
            chosen[row["region"], row["source"]].append(folder / row["file"])
    return [picture for pictures in chosen.values() for picture in pictures[:count]]


def as_object(picture: Path, *, kind: str = "CR", **elements) -> FileDataset:
    """A picture as a new CR or DX image of a new study; `elements` by keyword override."""
    grey = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    rows, columns = grey.shape
    uids = {key: generate_uid() for key in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")}
    pixels = {
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelData": grey.tobytes() + b"\0" * (grey.size % 2),
    }
    if kind == "DX":
        pixels |= {"WindowCenter": 128, "WindowWidth": 256}
    ds = {"CR": cr, "DX": dx}[kind](**(uids | pixels | elements))
    ds["PixelData"].VR = "OB"
    return ds


def as_file(ds: FileDataset, folder: Path) -> Path:
    """An object as a Part 10 file, named by its UID."""
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    dcmwrite(path, ds, enforce_file_format=True)
    return path
