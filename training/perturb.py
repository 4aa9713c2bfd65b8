"""Changes of a picture that must not change the answer: how it lies, its polarity, what is around it and upon it.

All chance is in the generator. A picture is float32 (H, W) in [0, 1], as `dicom_node.imaging` decodes it; what comes
out is one too, of another shape where the change asks for it. Nothing here is clean, fitted or seen by a model yet.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from training.simulate.lettering import lettering, paste
from training.simulate.overlays import gauges

Grey = npt.NDArray[np.float32]
Change = Callable[[Grey, np.random.Generator], Grey]

BORDER = (0.02, 0.12)
"""The width of a border at each side, as a fraction of the picture's longest."""
GAUGE_RADIUS = (0.03, 0.08)
"""Of the smallest and the largest gauge, likewise."""
MARKER_HEIGHT = (0.08, 0.18)
"""Of the lettering with its margins; the capital itself is half as high."""


def turned(grey: Grey, random: np.random.Generator) -> Grey:
    """By any angle, on a black ground large enough that nothing is cut off."""
    return _rotated(grey, random.uniform(-180.0, 180.0))


def turned_inside(grey: Grey, random: np.random.Generator) -> Grey:
    """By any angle inside its own outline; meant for `round_field`, where that loses nothing."""
    return _rotated(grey, random.uniform(-180.0, 180.0), grey.shape)


def quarter_turned(grey: Grey, random: np.random.Generator) -> Grey:
    """By 90, 180 or 270 degrees, without any resampling."""
    return np.rot90(grey, int(random.integers(1, 4)))


def mirrored(grey: Grey, _random: np.random.Generator) -> Grey:
    """Left and right exchanged."""
    return grey[:, ::-1]


def inverted(grey: Grey, _random: np.random.Generator) -> Grey:
    """Bone black, as where the polarity was read wrongly."""
    return np.float32(1.0) - grey


def in_white(grey: Grey, random: np.random.Generator) -> Grey:
    """Inside a white border, of another width at each side."""
    return _bordered(grey, random, 1.0)


def in_black(grey: Grey, random: np.random.Generator) -> Grey:
    """Inside a black border, of another width at each side."""
    return _bordered(grey, random, 0.0)


def with_gauges(grey: Grey, random: np.random.Generator) -> Grey:
    """With one to three planning rings, discs or balls, mostly away from the middle."""
    laid = grey.copy()
    # The simulator takes its gauges' size in m and a pixel's side in m: this one makes 12.5 mm the wanted fraction.
    gauges(laid, random, 0.0125 / (random.uniform(*GAUGE_RADIUS) * max(grey.shape)))
    return laid


def with_marker(grey: Grey, random: np.random.Generator) -> Grey:
    """With a bright R or L burned in at one of the corners."""
    burned, height = grey.copy(), random.uniform(*MARKER_HEIGHT) * max(grey.shape)
    across, down = random.uniform(0.06, 0.16, 2)
    corner = (random.choice([across, 1.0 - across]), random.choice([down, 1.0 - down]))
    place = corner[0] * grey.shape[1], corner[1] * grey.shape[0]
    letter = lettering("RL"[random.integers(2)], random)
    paste(burned, letter, place, height, random.normal(0.0, 8.0), random.uniform(0.85, 1.0))
    return burned


def round_field(grey: Grey) -> Grey:
    """What lies in the largest circle about the middle, on black (S, S): a field that looks turned at no angle."""
    side = min(grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    line = np.arange(side) - (side - 1) / 2.0
    inside = line[:, None] ** 2 + line[None, :] ** 2 < (side / 2.0) ** 2
    return np.where(inside, grey[top : top + side, left : left + side], np.float32(0.0))


PLAIN, ROUND = "as it is", "round field"

CHANGES: Mapping[str, tuple[str, Change]] = {
    "turned": (PLAIN, turned),
    "turned in a round field": (ROUND, turned_inside),
    "quarter turn": (PLAIN, quarter_turned),
    "mirrored": (PLAIN, mirrored),
    "inverted": (PLAIN, inverted),
    "white border": (PLAIN, in_white),
    "black border": (PLAIN, in_black),
    "gauges": (PLAIN, with_gauges),
    "side marker": (PLAIN, with_marker),
}
"""Each change, and which start it is compared with.

The node sets a turned rectangle upright before its model sees it. So `turned` says little about a patient who lies
askew in a straight field; the round field does, for nothing in it tells the cleaning how it was turned.
"""


def variants(grey: Grey, random: np.random.Generator) -> dict[str, Grey]:
    """The two starts and every change, by name."""
    starts = {PLAIN: grey, ROUND: round_field(grey)}
    return {**starts, **{name: change(starts[start], random) for name, (start, change) in CHANGES.items()}}


def _rotated(grey: Grey, angle: float, shape: tuple[int, ...] | None = None) -> Grey:
    """By `angle` degrees about the middle; of this shape, or as large as it takes."""
    height, width = grey.shape
    cos, sin = abs(np.cos(np.radians(angle))), abs(np.sin(np.radians(angle)))
    rows, columns = shape or (int(np.ceil(height * cos + width * sin)), int(np.ceil(width * cos + height * sin)))
    turn = np.asarray(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0), np.float64)
    turn[:, 2] += (columns - width) / 2, (rows - height) / 2
    return np.asarray(cv2.warpAffine(grey, turn, (columns, rows), flags=cv2.INTER_LINEAR), np.float32)


def _bordered(grey: Grey, random: np.random.Generator, value: float) -> Grey:
    top, bottom, left, right = np.ceil(random.uniform(*BORDER, 4) * max(grey.shape)).astype(int)
    return np.pad(grey, ((top, bottom), (left, right)), constant_values=value)
