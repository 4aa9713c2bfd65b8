"""Soft tissue: the length of each ray inside a union of balls."""

import numpy as np
import numpy.typing as npt
from numba import njit

from training.simulate.camera import Camera

Array = npt.NDArray[np.float64]
Map = npt.NDArray[np.float32]


def union_length(camera: Camera, balls: npt.ArrayLike) -> Map:
    """Length (H, W) in m of each ray inside the union of `balls` (N, 4: centre and radius, m).

    Along a ray, stretches that overlap count once, gaps do not count. The balls are taken in the order of their nearest
    points, and each ray remembers its last stretch alone: a ball that comes so late that it reaches back over a gap
    counts the tissue before the gap twice.
    """
    balls = np.asarray(balls, np.float64).reshape(-1, 4)
    total = np.zeros((camera.height, camera.width), np.float32)
    centres, radii = camera.in_camera(balls[:, :3]), balls[:, 3]
    order = np.argsort(np.linalg.norm(centres, axis=1) - radii)
    focal, u0, v0 = camera.intrinsics
    _add_union(total, np.ascontiguousarray(centres[order]), radii[order], focal, u0, v0)
    return total


@njit(cache=True, nogil=True)
def _add_union(total: Map, centres: Array, radii: Array, focal: float, u0: float, v0: float) -> None:
    height, width = total.shape
    start, end = np.full((height, width), np.inf), np.full((height, width), -np.inf)
    for k in range(len(radii)):
        x, y, z, r = centres[k, 0], centres[k, 1], centres[k, 2], radii[k]
        if z <= r:
            continue
        # The ball's outline bulges away from the centre by perspective: the exact half widths are those of the cone.
        reach_x = r * np.sqrt(x * x + z * z - r * r) / (z * z - r * r)
        reach_y = r * np.sqrt(y * y + z * z - r * r) / (z * z - r * r)
        mid_x, mid_y = x * z / (z * z - r * r), y * z / (z * z - r * r)
        left = max(0, int(np.ceil(u0 + focal * (mid_x - reach_x))))
        right = min(width - 1, int(np.floor(u0 + focal * (mid_x + reach_x))))
        top = max(0, int(np.ceil(v0 + focal * (mid_y - reach_y))))
        bottom = min(height - 1, int(np.floor(v0 + focal * (mid_y + reach_y))))
        away = x * x + y * y + z * z - r * r
        for row in range(top, bottom + 1):
            dy = (row - v0) / focal
            for column in range(left, right + 1):
                dx = (column - u0) / focal
                norm = np.sqrt(dx * dx + dy * dy + 1.0)
                near = (x * dx + y * dy + z) / norm
                root = near * near - away
                if root <= 0.0:
                    continue
                root = np.sqrt(root)
                enter, leave = near - root, near + root
                if enter > end[row, column]:
                    total[row, column] += leave - enter
                    start[row, column], end[row, column] = enter, leave
                elif leave > start[row, column]:
                    total[row, column] += max(start[row, column] - enter, 0.0) + max(leave - end[row, column], 0.0)
                    start[row, column] = min(start[row, column], enter)
                    end[row, column] = max(end[row, column], leave)
