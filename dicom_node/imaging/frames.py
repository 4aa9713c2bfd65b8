"""Where the field of the capture ends: straight frames peeled off line by line, and turned fields.

Both are shy on purpose. A frame is flat, starts at the picture's edge and ends all at once along a straight line;
anatomy in air does none of the last. All functions take uint8 (H, W) pictures.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Field = tuple[tuple[float, float], tuple[float, float], float]
"""Centre (x, y), size (width, height) in pixels, and the angle in degrees by which it is turned, -45 to 45."""

FLAT = 10
"""Grey levels within which a pixel belongs to the frame."""
FLAT_SHARE = 0.98
EDGE_SHARE = 0.35
"""The share of a line that has to leave the frame's grey at once where a frame ends."""
EDGE_REACH = 3
ROUNDS = 4
LEAST_ANGLE, MOST_ANGLE = 1.0, 45.0
LEAST_FILLED = 0.95
LEAST_SUPPORT = 0.8
LEAST_FIELD = 0.2


@dataclass(frozen=True, kw_only=True)
class Box:
    """Rows [top, bottom) and columns [left, right) of a picture."""

    top: int
    bottom: int
    left: int
    right: int


def straight_box(picture: Picture) -> Box:
    """Return the field inside straight frames, white, black or grey, also several around each other."""
    box = Box(top=0, bottom=picture.shape[0], left=0, right=picture.shape[1])
    for _ in range(ROUNDS):
        smaller = _peeled(picture, box)
        if smaller == box:
            break
        box = smaller
    return box


def _peeled(picture: Picture, box: Box) -> Box:
    inside = picture[box.top : box.bottom, box.left : box.right]
    if min(inside.shape) < 16:
        return box
    return Box(
        top=box.top + _frame_width(inside),
        bottom=box.bottom - _frame_width(inside[::-1]),
        left=box.left + _frame_width(inside.T),
        right=box.right - _frame_width(inside.T[::-1]),
    )


def _frame_width(lines: Picture) -> int:
    """Return how many of the first lines are frame, with one more for the blurred edge; 0 where there is none."""
    half = lines[: lines.shape[0] // 2]
    value = int(np.median(half[0]))
    off = np.abs(half.astype(np.int16) - value) > FLAT
    share = off.mean(axis=1)
    inside = np.flatnonzero(share > 1.0 - FLAT_SHARE)
    if inside.size == 0 or inside[0] == 0:
        return 0
    first = int(inside[0])
    ends_at_once = share[first : first + EDGE_REACH].max() >= EDGE_SHARE
    return first + 1 if ends_at_once else 0


def turned_field(picture: Picture) -> Field | None:
    """Return the field when it is a clear rectangle, turned, inside a flat surround; else None."""
    outline = _outline(picture)
    if outline is None:
        return None
    hull = cv2.convexHull(outline)
    (x, y), (width, height), angle = cv2.minAreaRect(hull)
    if angle > MOST_ANGLE:
        angle, width, height = angle - 90.0, height, width
    if abs(angle) < LEAST_ANGLE or min(width, height) < 16:
        return None
    corners = cv2.boxPoints(((x, y), (width, height), angle))
    filled = cv2.contourArea(outline) / (width * height)
    if filled < LEAST_FILLED or not _supported(outline, corners):
        return None
    return (x, y), (width - 2.0, height - 2.0), angle


def _outline(picture: Picture) -> NDArray[np.int32] | None:
    """Return the outline of what is not surround, the surround being what is flat from the corners on."""
    corners = [picture[0, 0], picture[0, -1], picture[-1, 0], picture[-1, -1]]
    value = int(np.median(corners))
    surround = (np.abs(picture.astype(np.int16) - value) <= FLAT).astype(np.uint8)
    inside = cv2.morphologyEx(1 - _touching_edge(surround), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    largest = max(outlines, key=cv2.contourArea)
    return np.asarray(largest, np.int32) if cv2.contourArea(largest) >= LEAST_FIELD * picture.size else None


def _touching_edge(mask: Picture) -> Picture:
    _, labels = cv2.connectedComponents(mask, connectivity=4)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    keep = np.zeros(int(labels.max()) + 1, np.uint8)
    keep[edge] = 1
    keep[0] = 0
    return np.asarray(keep[labels], np.uint8)


def _supported(outline: NDArray[np.int32], corners: NDArray[np.float32]) -> bool:
    """Whether the outline runs along all four sides of the rectangle, as the round end of a limb does not."""
    points = outline.reshape(-1, 2).astype(np.float32)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = (end - start) / np.linalg.norm(end - start)
        offset = points - start
        near = np.abs(offset[:, 0] * along[1] - offset[:, 1] * along[0]) <= 2.0
        covered = np.unique((offset[near] @ along).astype(np.int32))
        if covered.size < LEAST_SUPPORT * np.linalg.norm(end - start):
            return False
    return True
