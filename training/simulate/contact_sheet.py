"""Pages to look at: a row of pictures per region."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

CAPTION = 16
"""Pixels above a row for the region's name."""
GROUND = 40


def contact_sheet(images: Sequence[Bytes], regions: Sequence[str], *, columns: int = 12, cell: int = 128) -> Bytes:
    """One page (H, W): the first `columns` images of each region in the order of `regions`' first appearance, sorted.

    `images` are (h, w) uint8 of any size; each is fitted into a square of `cell` pixels.
    """
    rows = {
        region: [index for index, other in enumerate(regions) if other == region][:columns]
        for region in sorted(set(regions))
    }
    page = np.full((len(rows) * (cell + CAPTION), columns * cell), GROUND, np.uint8)
    for number, (region, chosen) in enumerate(rows.items()):
        top = number * (cell + CAPTION)
        cv2.putText(page, region, (4, top + CAPTION - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1, cv2.LINE_AA)
        for column, index in enumerate(chosen):
            fitted = _fitted(images[index], cell - 2)
            place = page[top + CAPTION :, column * cell :]
            place[: fitted.shape[0], : fitted.shape[1]] = fitted
    return page


def write_page(path: Path, page: Bytes) -> None:
    """Write a page as JPEG."""
    path.write_bytes(cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


def _fitted(image: Bytes, side: int) -> Bytes:
    scale = side / max(image.shape)
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
