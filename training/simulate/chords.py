"""The kernels that meet rays with solids: ellipsoids and capsules.

All work in the camera's frame: the source is the origin, the ray of a pixel runs along (x, y, 1) with
x = (u - centre_u) / focal, and so the parameter along it is the depth in m. `boxes` (N, 4) int64 are left, right, top,
bottom of the pixels that a solid can meet, inclusive. What lies behind the source counts as not there.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from training.simulate.camera import Array

Boxes = npt.NDArray[np.int64]


def pixel_boxes(
    shapes: Array, centres: Array, focal: float, centre_u: float, centre_v: float, size: tuple[int, int]
) -> Boxes:
    """The pixels (N, 4) in which ellipsoids {centre + A p, |p| <= 1} appear, from `shapes` = A A^T (N, 3, 3).

    The outline of an ellipsoid in a pinhole is a conic, whose dual is A A^T - c c^T (Hartley and Zisserman, Multiple
    View Geometry, 8.3); the vertical and horizontal lines that touch it give the box. One that reaches back to the
    plane of the source gets the whole picture.
    """
    dual = shapes - centres[:, :, None] * centres[:, None, :]
    behind_plane = dual[:, 2, 2] < 0
    ahead = centres[:, 2] > 0
    result = np.empty((len(centres), 4), np.int64)
    for axis, centre, pixels in ((0, centre_u, size[1]), (1, centre_v, size[0])):
        divisor = np.where(behind_plane, dual[:, 2, 2], -1.0)
        root = np.sqrt(np.maximum(dual[:, axis, 2] ** 2 - dual[:, axis, axis] * dual[:, 2, 2], 0.0))
        middle, half = dual[:, axis, 2] / divisor, np.abs(root / divisor)
        low = np.clip(np.ceil(centre + focal * (middle - half)), 0, pixels)
        high = np.clip(np.floor(centre + focal * (middle + half)), -1, pixels - 1)
        result[:, 2 * axis] = np.where(behind_plane, low, 0)
        result[:, 2 * axis + 1] = np.where(behind_plane, high, pixels - 1)
    result[behind_plane & ~ahead] = (0, -1, 0, -1)
    return result


@njit(cache=True, nogil=True)
def add_ellipsoid_chords(
    total: Array, boxes: Boxes, centres: Array, inverses: Array, weights: Array, focal: float, u0: float, v0: float
) -> None:
    """Add weight x depth inside of each ellipsoid; `inverses` (N, 3, 3) turn it into the unit ball."""
    for n in range(len(boxes)):
        m, c = inverses[n], centres[n]
        ox = m[0, 0] * c[0] + m[0, 1] * c[1] + m[0, 2] * c[2]
        oy = m[1, 0] * c[0] + m[1, 1] * c[1] + m[1, 2] * c[2]
        oz = m[2, 0] * c[0] + m[2, 1] * c[1] + m[2, 2] * c[2]
        rest = ox * ox + oy * oy + oz * oz - 1.0
        for row in range(boxes[n, 2], boxes[n, 3] + 1):
            y = (row - v0) / focal
            for column in range(boxes[n, 0], boxes[n, 1] + 1):
                x = (column - u0) / focal
                dx = m[0, 0] * x + m[0, 1] * y + m[0, 2]
                dy = m[1, 0] * x + m[1, 1] * y + m[1, 2]
                dz = m[2, 0] * x + m[2, 1] * y + m[2, 2]
                square = dx * dx + dy * dy + dz * dz
                half = ox * dx + oy * dy + oz * dz
                inside = half * half - square * rest
                if inside > 0.0:
                    root = math.sqrt(inside)
                    length = max(half + root, 0.0) - max(half - root, 0.0)
                    total[row, column] += weights[n] * length / square


@njit(cache=True, nogil=True)
def add_capsule_chords(
    total: Array,
    boxes: Boxes,
    starts: Array,
    ends: Array,
    radii: Array,
    weights: Array,
    focal: float,
    u0: float,
    v0: float,
) -> None:
    """Add weight x depth inside of each capsule, all points within `radii` (N,) of the line from start to end."""
    for n in range(len(boxes)):
        for row in range(boxes[n, 2], boxes[n, 3] + 1):
            y = (row - v0) / focal
            for column in range(boxes[n, 0], boxes[n, 1] + 1):
                x = (column - u0) / focal
                total[row, column] += weights[n] * _capsule_chord(x, y, starts[n], ends[n], radii[n])


@njit(cache=True, nogil=True)
def _capsule_chord(x: float, y: float, start: Array, end: Array, radius: float) -> float:
    """The depth inside: the capsule is convex, so from the first entry to the last exit of its three parts."""
    lx, ly, lz = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    length = math.sqrt(lx * lx + ly * ly + lz * lz)
    low, high = math.inf, -math.inf
    if length > 0.0:
        lx, ly, lz = lx / length, ly / length, lz / length
        # Ray and start split into the parts along the axis and across it.
        ray_along, start_along = x * lx + y * ly + lz, start[0] * lx + start[1] * ly + start[2] * lz
        rx, ry, rz = x - ray_along * lx, y - ray_along * ly, 1.0 - ray_along * lz
        sx, sy, sz = start[0] - start_along * lx, start[1] - start_along * ly, start[2] - start_along * lz
        square, half = rx * rx + ry * ry + rz * rz, rx * sx + ry * sy + rz * sz
        inside = half * half - square * (sx * sx + sy * sy + sz * sz - radius * radius)
        if square > 1e-18:  # else the ray runs along the axis and meets the two balls alone
            if inside <= 0.0:
                return 0.0
            root = math.sqrt(inside)
            first, last = (half - root) / square, (half + root) / square
            if ray_along != 0.0:
                one, other = start_along / ray_along, (start_along + length) / ray_along
                first, last = max(first, min(one, other)), min(last, max(one, other))
            elif start_along > 0.0 or start_along + length < 0.0:
                last = -math.inf
            if first < last:
                low, high = first, last
    for ball in (start, end):
        square = x * x + y * y + 1.0
        half = x * ball[0] + y * ball[1] + ball[2]
        rest = ball[0] * ball[0] + ball[1] * ball[1] + ball[2] * ball[2] - radius * radius
        inside = half * half - square * rest
        if inside > 0.0:
            root = math.sqrt(inside)
            low, high = min(low, (half - root) / square), max(high, (half + root) / square)
    return max(high, 0.0) - max(low, 0.0) if high > low else 0.0
