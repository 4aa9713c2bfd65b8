"""Where the field of the capture ends: straight frames peeled off line by line, and turned fields.

Both are shy on purpose. A frame is flat, starts at the picture's edge and ends all at once along a straight line;
anatomy in air does none of the last. All functions take uint8 (H, W) pictures.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Sides = NDArray[np.float64]
Field = tuple[tuple[float, float], tuple[float, float], float]
"""Centre (x, y), size (width, height) in pixels, and the angle in degrees by which it is turned, -45 to 45."""

FLAT = 10
"""Grey levels within which a pixel belongs to the frame."""
FLAT_SHARE = 0.98
EDGE_SHARE = 0.35
"""The share of a line that has to leave the frame's grey at once where a frame ends."""
EDGE_REACH = 3
ROUNDS = 4
DARK, BRIGHT = 48, 224
"""Straight frames are at most this or at least that grey; flat grey in between may be low-contrast anatomy."""
LEAST_SIDE = 96
"""On smaller pictures a few steps of a curve look like a straight, turned line."""
LEAST_ANGLE = 1.0
ALIGNED = 2.0
LEAST_ALIGNED = 0.85
LEAST_LEG = 0.25
LEAST_FILLED = 0.95
LEAST_FIELD = 0.2
ALONE = 0.97
"""The share of all that is not surround that must lie in the one field; else something would be cut away."""


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
    if DARK < value < BRIGHT:
        return 0
    off = np.abs(half.astype(np.int16) - value) > FLAT
    share = off.mean(axis=1)
    inside = np.flatnonzero(share > 1.0 - FLAT_SHARE)
    if inside.size == 0 or inside[0] == 0:
        return 0
    first = int(inside[0])
    ends_at_once = share[first : first + EDGE_REACH].max() >= EDGE_SHARE
    return first + 1 if ends_at_once else 0


def turned_field(picture: Picture) -> Field | None:
    """Return the field when it is a turned rectangle inside a flat surround, maybe cut by the picture's edge.

    Nearly all of its outline must run along one right angle, with a good piece of either leg: a limb that crosses the
    picture has one direction only, and what is round has none. None when there is no such field.
    """
    outline = _outline(picture) if min(picture.shape) >= LEAST_SIDE else None
    if outline is None:
        return None
    hull = np.asarray(cv2.convexHull(outline), np.int32)
    if cv2.contourArea(outline) < LEAST_FILLED * cv2.contourArea(hull):
        return None
    angle = _right_angle(_free_sides(hull, picture.shape), LEAST_LEG * min(picture.shape))
    if angle is None or abs(angle) < LEAST_ANGLE:
        return None
    return _enclosing(hull.reshape(-1, 2).astype(np.float64), angle)


def _outline(picture: Picture) -> NDArray[np.int32] | None:
    """Return the outline of the one thing that is not surround; None when there is no such one thing."""
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    value = int(np.bincount(edge, minlength=256).argmax())
    surround = (np.abs(picture.astype(np.int16) - value) <= FLAT).astype(np.uint8)
    inside = cv2.morphologyEx(1 - _touching_edge(surround), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(outline) for outline in outlines]
    if not areas or max(areas) < max(LEAST_FIELD * picture.size, ALONE * sum(areas)):
        return None
    return np.asarray(outlines[int(np.argmax(areas))], np.int32)


def _touching_edge(mask: Picture) -> Picture:
    _, labels = cv2.connectedComponents(mask, connectivity=4)
    keep = np.zeros(int(labels.max()) + 1, np.uint8)
    keep[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = 1
    keep[0] = 0
    return np.asarray(keep[labels], np.uint8)


def _free_sides(hull: NDArray[np.int32], shape: tuple[int, ...]) -> Sides:
    """Return the sides (n, 2) of the hull, as vectors, without those that only follow the picture's edge."""
    corners = cv2.approxPolyDP(hull, 1.5, True).reshape(-1, 2).astype(np.float64)
    ends = np.roll(corners, -1, axis=0)
    low, high = np.minimum(corners, ends), np.maximum(corners, ends)
    last = np.array([shape[1] - 1.0, shape[0] - 1.0])
    at_edge = (high <= EDGE_REACH).any(axis=1) | (low >= last - EDGE_REACH).any(axis=1)
    return np.asarray((ends - corners)[~at_edge])


def _right_angle(sides: Sides, least_leg: float) -> float | None:
    """Return the angle in degrees, above -45 to 45, of the cross along which nearly all the sides run; None without."""
    if len(sides) < 2:
        return None
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    angles = np.degrees(np.arctan2(sides[:, 1], sides[:, 0]))
    apart = (angles[:, None] - angles[None, :] + 45.0) % 90.0 - 45.0
    aligned = (np.abs(apart) <= ALIGNED) @ np.diag(lengths)
    best = int(aligned.sum(axis=1).argmax())
    near = aligned[best] > 0.0
    other_leg = near & (np.abs((angles - angles[best]) % 180.0 - 90.0) < 45.0)
    legs = lengths[other_leg].sum(), lengths[near & ~other_leg].sum()
    if aligned[best].sum() < LEAST_ALIGNED * lengths.sum() or min(legs) < least_leg:
        return None
    mean = angles[best] + np.average(apart[near, best], weights=lengths[near])
    return float(-((45.0 - mean) % 90.0 - 45.0))


def _enclosing(points: NDArray[np.float64], angle: float) -> Field:
    """Return the rectangle at `angle` around the points, less a pixel at each side for the blurred edge."""
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turned = points @ np.array([[cosine, -sine], [sine, cosine]])
    low, high = turned.min(axis=0), turned.max(axis=0)
    x, y = (low + high) / 2.0
    width, height = high - low - 1.0
    return (x * cosine - y * sine, x * sine + y * cosine), (float(width), float(height)), angle
