"""Where each bone lies once joints are bent and bones have grown: one affine map a bone, along the tree of joints."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.simulate.skeleton import Bone, Skeleton

Array = npt.NDArray[np.float64]

LATERAL, ANTERIOR, UP = np.eye(3)
"""The atlas's axes: x to the subject's right, y forward, z up."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How a body differs from the anatomical position.

    `turns`: rotation (3, 3) of a bone against its parent, in the atlas's axes. `moves`: what is added to the place of
    its joint (3,), in m: a dislocation, or a hand laid elsewhere. `sizes`: factors of a bone's length and width.
    """

    turns: Mapping[str, Array] = field(default_factory=dict)
    moves: Mapping[str, Array] = field(default_factory=dict)
    sizes: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """x -> linear @ (x - origin) + position; `turn` is the rotation alone, which children inherit."""

    linear: Array
    origin: Array
    position: Array
    turn: Array

    def __call__(self, points: npt.ArrayLike) -> Array:
        """Points (..., 3) of the bone at rest -> where they lie now."""
        return (np.asarray(points, np.float64) - self.origin) @ self.linear.T + self.position


def places(skeleton: Skeleton, pose: Pose, names: Iterable[str]) -> dict[str, Place]:
    """Where the bones of `names` lie, and those that they hang on.

    A bone grows about its anchor; what hangs on it moves along but does not grow.
    """
    found: dict[str, Place] = {}
    wanted = _with_ancestors(skeleton, names)
    for name, bone in skeleton.bones.items():
        if name not in wanted:
            continue
        parent = found.get(bone.parent or "")
        turn = pose.turns.get(name, np.eye(3))
        joint = bone.joint
        if parent is not None:
            turn, joint = parent.turn @ turn, parent(bone.joint)
        joint = joint + pose.moves.get(name, np.zeros(3))
        linear = turn @ _growth(bone, pose.sizes.get(name))
        # The anchor goes where the rotation about the joint takes it; the growth starts from there.
        found[name] = Place(
            linear=linear, origin=bone.anchor, position=joint + turn @ (bone.anchor - bone.joint), turn=turn
        )
    return found


def _with_ancestors(skeleton: Skeleton, names: Iterable[str]) -> set[str]:
    wanted: set[str] = set()
    for name in names:
        current: str | None = name
        while current and current not in wanted:
            wanted.add(current)
            current = skeleton[current].parent
    return wanted


def _growth(bone: Bone, size: tuple[float, float] | None) -> Array:
    if size is None:
        return np.eye(3)
    length, width = size
    return np.asarray((bone.axes.T * np.array([length, width, width])) @ bone.axes, np.float64)


def turn(axis: npt.ArrayLike, degrees: float) -> Array:
    """Rotation (3, 3) about `axis` (3,), counter-clockwise when it points at the viewer (Rodrigues)."""
    x, y, z = np.asarray(axis, np.float64) / np.linalg.norm(np.asarray(axis, np.float64))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross, np.float64)


def aligning(start: npt.ArrayLike, end: npt.ArrayLike) -> Array:
    """The shortest rotation (3, 3) that takes the direction `start` (3,) to `end` (3,)."""
    a, b = (np.asarray(v, np.float64) / np.linalg.norm(np.asarray(v, np.float64)) for v in (start, end))
    axis = np.cross(a, b)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        return np.eye(3) if a @ b > 0 else turn(np.cross(a, np.eye(3)[np.abs(a).argmin()]), 180.0)
    return turn(axis, float(np.rad2deg(np.arctan2(sine, a @ b))))
