"""Random fields: white, broad, and of all scales, as one number per pixel."""

import cv2
import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float32]


def white(shape: tuple[int, int], random: np.random.Generator) -> Map:
    """(H, W) standard normal, no pixel knowing of its neighbour."""
    return random.standard_normal(shape, dtype=np.float32)


def broad(shape: tuple[int, int], random: np.random.Generator, cells: int = 3) -> Map:
    """(H, W) about standard normal, smooth over 1 / `cells` of the side."""
    return _enlarged(white((cells + 1, cells + 1), random), shape)


def of_all_scales(shape: tuple[int, int], random: np.random.Generator, slope: float = 1.0) -> Map:
    """(H, W) of about unit strength in octaves from the whole side to two pixels.

    Octave k has the amplitude 2 ** (-slope k): a slope of 0 gives every octave the same, 1 is close to the power law
    of exponent 3 to 4 that Burgess 1999 (SPIE 3663, 419) found in the structure of tissue.
    """
    total = np.zeros(shape, np.float32)
    cells, weights = 3, 0.0
    while cells < max(shape) / 2:
        weight = 2.0 ** (-slope * np.log2(cells / 3))
        total += np.float32(weight) * _enlarged(white((cells, cells), random), shape)
        weights += weight**2
        cells *= 2
    return total / np.float32(np.sqrt(weights)) if weights else total


def _enlarged(small: Map, shape: tuple[int, int]) -> Map:
    height, width = shape
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
