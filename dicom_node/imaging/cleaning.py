"""Border removal and rotation normalisation (Langer et al. 2024, section 4: OpenCV on the border of the capture)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dicom_node.imaging.frames import Box, straight_box, turned_field

WORKING_SIDE = 1024
DETECTION_SIDE = 512
LEAST_AREA = 0.2
"""A field smaller than this share of the picture is more likely a mistake than a field; nothing is done then."""


def clean(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `grey` (H, W) without the frame around the capture and with a turned field set upright.

    float32 in [0, 1]; the longest side is at most 1024. A picture without a clear frame only gets smaller. The same
    input always gives the same output, and a clean picture stays as it is.
    """
    grey = _reduced(np.ascontiguousarray(grey, np.float32), WORKING_SIDE)
    cleaned = _without_frame(_upright(_without_frame(grey)))
    return cleaned if cleaned.size >= LEAST_AREA * grey.size else grey


def _reduced(grey: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    scale = side / max(grey.shape)
    if scale >= 1.0:
        return grey
    rows, columns = (max(1, round(length * scale)) for length in grey.shape)
    return np.asarray(cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _detection_copy(grey: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float]:
    """Return a small 8 bit copy, free of specks, and by how much it is smaller."""
    small = _reduced(grey, DETECTION_SIDE)
    bytes_ = np.asarray(small * 255.0 + 0.5, np.uint8)
    return np.asarray(cv2.medianBlur(bytes_, 3), np.uint8), max(grey.shape) / max(small.shape)


def _without_frame(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    small, scale = _detection_copy(grey)
    box = straight_box(small)
    if box == Box(top=0, bottom=small.shape[0], left=0, right=small.shape[1]):
        return grey
    top, left = (int(np.ceil(edge * scale)) for edge in (box.top, box.left))
    bottom = grey.shape[0] if box.bottom == small.shape[0] else int(box.bottom * scale)
    right = grey.shape[1] if box.right == small.shape[1] else int(box.right * scale)
    inside = grey[top:bottom, left:right]
    return inside if inside.size else grey  # frames that meet, as around a bright line, hold no field


def _upright(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    small, scale = _detection_copy(grey)
    field = turned_field(small)
    if field is None:
        return grey
    (x, y), (width, height), angle = field
    x, y = ((value + 0.5) * scale - 0.5 for value in (x, y))
    columns, rows = (max(1, round(side * scale)) for side in (width, height))
    turn = np.asarray(cv2.getRotationMatrix2D((x, y), angle, 1.0), np.float64)
    turn[:, 2] += np.array([(columns - 1) / 2.0 - x, (rows - 1) / 2.0 - y])
    upright = cv2.warpAffine(grey, turn, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(upright, np.float32)
