"""Radiographs that never were, with a brightness that the tiny model answers to."""

import numpy as np
from pydicom import FileDataset
from pydicom.uid import generate_uid

from tests.corrected_objects import cr, dx


def bright(kind: str = "CR", **elements) -> FileDataset:
    """An image that the tiny model calls a shoulder: a few dark columns, the rest bright."""
    pixels = np.full((64, 64), 4000, np.uint16)
    pixels[:, :6] = np.linspace(0, 3500, 6, dtype=np.uint16)
    return _image(pixels, kind, elements)


def dark(kind: str = "CR", **elements) -> FileDataset:
    """An image on which the tiny model abstains: a few bright columns, the rest dark."""
    pixels = np.full((64, 64), 100, np.uint16)
    pixels[:, :6] = np.linspace(500, 4000, 6, dtype=np.uint16)
    return _image(pixels, kind, elements)


def _image(pixels: np.ndarray, kind: str, elements: dict) -> FileDataset:
    uids = {key: generate_uid() for key in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")}
    own = {"Rows": pixels.shape[0], "Columns": pixels.shape[1], "PixelData": pixels.tobytes()}
    return {"CR": cr, "DX": dx}[kind](**(uids | own | elements))
