"""The way into the model: one size, the aspect ratio kept, the grey scale stretched."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dicom_node.imaging.cleaning import clean

LOW_PERCENT, HIGH_PERCENT = 1.0, 99.0
LEAST_SPAN = 0.02
"""Below this, stretching would only show noise."""


def fit(grey: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return `grey` (H, W) as float32 (size, size): aspect ratio kept, centred, black where it does not reach."""
    height, width = grey.shape
    scale = size / max(height, width)
    rows, columns = (max(1, round(side * scale)) for side in (height, width))
    how = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    top, left = (size - rows) // 2, (size - columns) // 2
    fitted = np.zeros((size, size), np.float32)
    fitted[top : top + rows, left : left + columns] = cv2.resize(grey, (columns, rows), interpolation=how)
    return fitted


def model_input(grey: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return what the model sees of `grey`: cleaned, stretched between its 1st and 99th percentile, and fitted.

    float32 (size, size) in [0, 1]. Training and the node both come through here, and nowhere else.
    """
    return fit(_stretched(clean(grey)), size)


def _stretched(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Stretch to [0, 1]; every 4th pixel of every 4th row of a large picture tells its percentiles."""
    step = 4 if grey.size > 250_000 else 1
    low, high = np.percentile(grey[::step, ::step], (LOW_PERCENT, HIGH_PERCENT))
    if high - low < LEAST_SPAN:
        return np.clip(grey, 0.0, 1.0)
    return np.asarray(np.clip((grey - np.float32(low)) / np.float32(high - low), 0.0, 1.0), np.float32)
