"""The geometry of an exposure: a point source, and a flat detector with square pixels."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """Point source and flat detector, in world metres.

    `source` and `detector` (the detector's centre) are points (3,); `right` and `down` are unit vectors (3,) along the
    detector's rows and columns, at right angles. `pitch` is the pixels' side on the detector in m; the detector has
    `height` x `width` of them. The source need not lie over the centre: a shifted or tilted detector is the same thing.

    Positions on the detector are (u, v) in pixels, u to the right, v down; whole numbers are pixel centres, so that
    image[row, column] is the ray through u = column, v = row.
    """

    source: Array
    detector: Array
    right: Array
    down: Array
    pitch: float
    height: int
    width: int

    @classmethod
    def looking(
        cls,
        target: npt.ArrayLike,
        direction: npt.ArrayLike,
        up: npt.ArrayLike,
        source_distance: float = 1.0,
        target_to_detector: float = 0.1,
        field: float = 0.3,
        size: int | tuple[int, int] = 144,
        roll: float = 0.0,
    ) -> Self:
        """The camera whose central ray goes through `target` (3,) along `direction` (3,) onto the detector's centre.

        `direction` is the way of the rays, from source to detector: (0, -1, 0) is anteroposterior. `up` (3,) shows
        upwards in the image as far as it is across the direction. `source_distance` is from source to target,
        `target_to_detector` on from there, both in m. `field` is the width in m that the image shows in the plane
        through the target (at the detector it is `magnification` times as wide). `size` is (height, width) in pixels or
        the side of a square. `roll` turns the picture counter-clockwise, in radians.
        """
        height, width = (size, size) if isinstance(size, int) else size
        forward = _unit(direction)
        right = _unit(np.cross(forward, _unit(up)))
        down = np.cross(forward, right)
        right, down = np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right
        centre = np.asarray(target, np.float64)
        return cls(
            source=centre - source_distance * forward,
            detector=centre + target_to_detector * forward,
            right=right,
            down=down,
            pitch=field / width * (source_distance + target_to_detector) / source_distance,
            height=height,
            width=width,
        )

    @cached_property
    def forward(self) -> Array:
        """The detector's normal, away from the source: unit vector (3,)."""
        return np.cross(self.right, self.down)

    @cached_property
    def distance(self) -> float:
        """From the source to the detector's plane, in m: SID."""
        return float((self.detector - self.source) @ self.forward)

    @cached_property
    def axes(self) -> Array:
        """Rows right, down, forward (3, 3): world directions to the camera's."""
        return np.stack([self.right, self.down, self.forward])

    @cached_property
    def intrinsics(self) -> tuple[float, float, float]:
        """Focal length in pixels, and (u, v) of the foot of the perpendicular from the source."""
        across = (self.source - self.detector) / self.pitch
        return (
            self.distance / self.pitch,
            (self.width - 1) / 2 + float(across @ self.right),
            (self.height - 1) / 2 + float(across @ self.down),
        )

    def in_camera(self, points: npt.ArrayLike) -> Array:
        """World points (..., 3) in m -> right, down, forward of the source (..., 3) in m."""
        return (np.asarray(points, np.float64) - self.source) @ self.axes.T

    def project(self, points: npt.ArrayLike) -> tuple[Array, Array, Array]:
        """World points (..., 3) -> u, v in pixels and depth (...) in m, forward of the source along the normal.

        What lies in the plane of the source or behind it (depth <= 0) is on no ray: its u and v are NaN.
        """
        x, y, depth = np.moveaxis(self.in_camera(points), -1, 0)
        focal, centre_u, centre_v = self.intrinsics
        scale = focal / np.where(depth > 0, depth, np.nan)
        return centre_u + x * scale, centre_v + y * scale, depth

    def magnification(self, point: npt.ArrayLike) -> float:
        """How many times larger on the detector than in the parallel plane through `point` (3,): SID / SOD."""
        return self.distance / float(self.in_camera(point)[2])


def _unit(vector: npt.ArrayLike) -> Array:
    given = np.asarray(vector, np.float64)
    unit: Array = given / np.linalg.norm(given)
    return unit
