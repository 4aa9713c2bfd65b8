"""The kernel that sums signed depths of triangles: how far a ray runs inside closed surfaces, without sorting them.

A ray enters a closed surface through a triangle that faces the source and leaves it through one that faces away. The
sum over the triangles that it meets of depth, negative at entry and positive at exit, is the length inside. That holds
for any number of surfaces, one in another or overlapping, in any order.

Each triangle must cover just the rays that its neighbours leave to it, or a single depth of one metre stays behind as a
streak. So corners are rounded to whole 1/1024 pixels and the edges are decided in integers, where a pixel centre on an
edge belongs to the triangle of which this is a top or left edge: the rule of Direct3D and Vulkan. 1/depth is linear
on the detector; between the corners' own values it cannot run away, however slim the triangle.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from training.simulate.camera import Array

Corners = npt.NDArray[np.int64]
Faces = npt.NDArray[np.int32]

SUBPIXELS = 1024
# Beyond this many pixels corners are clamped: edge products then stay under 2**61.
FAR = float(1 << 19)
# In m: triangles with a corner nearer to the plane of the source are left out; none of them can be in a cone of use.
NEAR = 1e-3


@njit(cache=True, nogil=True)
def on_screen(
    vertices: Array, source: Array, axes: Array, focal: float, centre_u: float, centre_v: float
) -> tuple[Corners, Array]:
    """Vertices (V, 3) -> corners (V, 2) int64 in 1/1024 pixels, and 1/depth (V,) in 1/m, 0 where it is not in front."""
    corners = np.zeros((len(vertices), 2), np.int64)
    inverse = np.zeros(len(vertices))
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0] - source[0], vertices[i, 1] - source[1], vertices[i, 2] - source[2]
        depth = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
        if not depth > NEAR:
            continue
        inverse[i] = 1.0 / depth
        u = centre_u + focal * inverse[i] * (axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z)
        v = centre_v + focal * inverse[i] * (axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z)
        corners[i, 0] = math.floor(min(max(u, -FAR), FAR) * SUBPIXELS + 0.5)
        corners[i, 1] = math.floor(min(max(v, -FAR), FAR) * SUBPIXELS + 0.5)
    return corners, inverse


@njit(cache=True, nogil=True)
def add_depths(total: Array, corners: Corners, inverse: Array, faces: Faces, weights: Array) -> None:
    """Add sign x weight x depth of every triangle (F, 3) to the pixels of `total` (H, W) whose centres it covers."""
    height, width = total.shape
    for face in range(len(faces)):
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        x0, y0, x1, y1, x2, y2 = (
            corners[i, 0],
            corners[i, 1],
            corners[j, 0],
            corners[j, 1],
            corners[k, 0],
            corners[k, 1],
        )
        left = max((min(x0, x1, x2) + SUBPIXELS - 1) // SUBPIXELS, 0)
        right = min(max(x0, x1, x2) // SUBPIXELS, width - 1)
        if left > right:
            continue
        top = max((min(y0, y1, y2) + SUBPIXELS - 1) // SUBPIXELS, 0)
        bottom = min(max(y0, y1, y2) // SUBPIXELS, height - 1)
        if top > bottom:
            continue
        area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
        if area == 0 or inverse[i] == 0 or inverse[j] == 0 or inverse[k] == 0:
            continue
        # v runs downwards: a triangle that turns anticlockwise for the source, its outside, has a negative area.
        weight = weights[face]
        if area < 0:
            weight = -weight
            j, k, x1, y1, x2, y2 = k, j, x2, y2, x1, y1
        area = abs(area)
        # Step of each edge's function to the right (a) and down (b), and its value at the box's first pixel.
        px, py = left * SUBPIXELS, top * SUBPIXELS
        a0, b0, a1, b1, a2, b2 = y1 - y2, x2 - x1, y2 - y0, x0 - x2, y0 - y1, x1 - x0
        w0 = b0 * (py - y1) + a0 * (px - x1)
        w1 = b1 * (py - y2) + a1 * (px - x2)
        w2 = b2 * (py - y0) + a2 * (px - x0)
        # On an edge that is neither top nor left, zero is outside.
        least0 = 0 if a0 > 0 or (a0 == 0 and b0 > 0) else 1
        least1 = 0 if a1 > 0 or (a1 == 0 and b1 > 0) else 1
        least2 = 0 if a2 > 0 or (a2 == 0 and b2 > 0) else 1
        scaled = weight * area
        for row in range(top, bottom + 1):
            e0, e1, e2 = w0, w1, w2
            for column in range(left, right + 1):
                if e0 >= least0 and e1 >= least1 and e2 >= least2:
                    total[row, column] += scaled / (e0 * inverse[i] + e1 * inverse[j] + e2 * inverse[k])
                e0, e1, e2 = e0 + a0 * SUBPIXELS, e1 + a1 * SUBPIXELS, e2 + a2 * SUBPIXELS
            w0, w1, w2 = w0 + b0 * SUBPIXELS, w1 + b1 * SUBPIXELS, w2 + b2 * SUBPIXELS


@njit(cache=True, nogil=True)
def add_along_rays(
    image: npt.NDArray[np.float32], total: Array, samples: int, focal: float, centre_u: float, centre_v: float
) -> None:
    """Turn depths `total` (H x samples, W x samples) into lengths along the slanted rays; add their means to `image`.

    `focal`, `centre_u` and `centre_v` are in the finer pixels of `total`.
    """
    height, width = image.shape
    share = 1.0 / (samples * samples)
    for row in range(height * samples):
        y = (row - centre_v) / focal
        for column in range(width * samples):
            if total[row, column] != 0.0:
                x = (column - centre_u) / focal
                length = total[row, column] * math.sqrt(1.0 + x * x + y * y)
                image[row // samples, column // samples] += length * share
