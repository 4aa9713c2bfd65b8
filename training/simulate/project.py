"""Line integrals through bones, metal, gas and soft tissue: add to a map of optical depth, solid after solid.

Each pixel is one ray from the source to its centre. Everything here adds weight (1/m) x length inside (m), measured
along the slanted ray, to an image (H, W); weights may be negative, for gas in tissue or marrow in bone. Order does not
matter, and what overlaps is simply the sum. Out of the optical depth t the detector sees exp(-t) of the open beam.

`samples` = n takes n x n rays a pixel and adds their mean: thin cortex and wires then do not break up into dots.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from training.simulate.camera import Array, Camera
from training.simulate.chords import (
    Boxes,
    add_capsule_chords,
    add_ellipsoid_chords,
    pixel_boxes,
)
from training.simulate.raster import add_along_rays, add_depths, on_screen

Image = npt.NDArray[np.float32]


def add_mesh(
    image: Image,
    camera: Camera,
    vertices: npt.ArrayLike,
    faces: npt.ArrayLike,
    weight: npt.ArrayLike = 1.0,
    *,
    samples: int = 1,
) -> None:
    """Add weight x length inside the closed surface of `vertices` (V, 3) in m and `faces` (F, 3), to `image` (H, W).

    Faces turn anticlockwise seen from outside. `weight` in 1/m is one number or one for each face (F,), the same over
    each closed part. Several parts may be joined, one in another: a bone's outer surface with its cortex's attenuation,
    and its inner surface with minus the difference to the marrow's. Triangles that reach within 1 mm of the plane of
    the source, or behind it, are left out. A surface with holes leaves streaks.
    """
    points = np.ascontiguousarray(vertices, np.float64)
    triangles = np.ascontiguousarray(faces, np.int32)
    weights = np.ascontiguousarray(np.broadcast_to(np.asarray(weight, np.float64), len(triangles)))

    def add(total: Array, focal: float, u0: float, v0: float) -> None:
        corners, inverse = on_screen(points, camera.source, camera.axes, focal, u0, v0)
        add_depths(total, corners, inverse, triangles, weights)

    _add(image, camera, samples, add)


def add_ellipsoids(
    image: Image,
    camera: Camera,
    centres: npt.ArrayLike,
    axes: npt.ArrayLike,
    weights: npt.ArrayLike,
    *,
    samples: int = 1,
) -> None:
    """Add weight x chord of ellipsoids at `centres` (N, 3) in m, to `image` (H, W).

    `axes` are half axes in m: (N, 3) along the world's axes, or (N, 3, 3) whose columns are the half axes as vectors
    (any matrix that makes the ellipsoid out of the unit ball). `weights` (N,) or one number, in 1/m.
    """
    half_axes = np.asarray(axes, np.float64)
    if half_axes.ndim == 2:
        half_axes = half_axes[:, :, None] * np.eye(3)
    matrices = camera.axes @ half_axes
    middle = np.ascontiguousarray(camera.in_camera(centres))
    inverses = np.ascontiguousarray(np.linalg.inv(matrices))
    each = np.ascontiguousarray(np.broadcast_to(np.asarray(weights, np.float64), len(middle)))

    def add(total: Array, focal: float, u0: float, v0: float) -> None:
        boxes = pixel_boxes(matrices @ matrices.transpose(0, 2, 1), middle, focal, u0, v0, total.shape)
        add_ellipsoid_chords(total, boxes, middle, inverses, each, focal, u0, v0)

    _add(image, camera, samples, add)


def add_capsules(
    image: Image,
    camera: Camera,
    starts: npt.ArrayLike,
    ends: npt.ArrayLike,
    radii: npt.ArrayLike,
    weights: npt.ArrayLike,
    *,
    samples: int = 1,
) -> None:
    """Add weight x chord of capsules, cylinders with round ends, to `image` (H, W).

    A capsule is all that lies within `radii` (N,) of the line from `starts` (N, 3) to `ends` (N, 3), in m; a ball where
    the two are one. `radii` and `weights` (1/m) may be one number for all.
    """
    first, last = np.ascontiguousarray(camera.in_camera(starts)), np.ascontiguousarray(camera.in_camera(ends))
    radius = np.ascontiguousarray(np.broadcast_to(np.asarray(radii, np.float64), len(first)))
    each = np.ascontiguousarray(np.broadcast_to(np.asarray(weights, np.float64), len(first)))

    def add(total: Array, focal: float, u0: float, v0: float) -> None:
        boxes = _hull(*(_ball_boxes(end, radius, focal, u0, v0, total.shape) for end in (first, last)))
        add_capsule_chords(total, boxes, first, last, radius, each, focal, u0, v0)

    _add(image, camera, samples, add)


def _add(image: Image, camera: Camera, samples: int, add: Callable[[Array, float, float, float], None]) -> None:
    """Let `add` fill a finer map of depths, and add their means over each pixel, as lengths along the ray."""
    if image.shape != (camera.height, camera.width):
        raise ValueError(f"the image is {image.shape}, the camera's {(camera.height, camera.width)}")
    focal, u0, v0 = camera.intrinsics
    finer = samples * focal, (u0 + 0.5) * samples - 0.5, (v0 + 0.5) * samples - 0.5
    total = np.zeros((camera.height * samples, camera.width * samples))
    add(total, *finer)
    add_along_rays(image, total, samples, *finer)


def _ball_boxes(centres: Array, radii: Array, focal: float, u0: float, v0: float, size: tuple[int, int]) -> Boxes:
    return pixel_boxes((radii**2)[:, None, None] * np.eye(3), centres, focal, u0, v0, size)


def _hull(one: Boxes, other: Boxes) -> Boxes:
    """The box around both: a capsule is the convex hull of its two balls, and so is its picture."""
    return np.stack(
        [
            np.minimum(one[:, 0], other[:, 0]),
            np.maximum(one[:, 1], other[:, 1]),
            np.minimum(one[:, 2], other[:, 2]),
            np.maximum(one[:, 3], other[:, 3]),
        ],
        axis=1,
    )
