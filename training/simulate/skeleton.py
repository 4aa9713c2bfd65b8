"""The skeleton: named bones in anatomical position, and where each turns against its parent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from training.simulate.mesh import Mesh

Array = npt.NDArray[np.float64]

BALLS = ("femur", "humerus")
"""The bones that turn in a ball and socket."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bone:
    """One rigid piece.

    `name`: the bone, with `_r` or `_l` where there are two, and a dot and a word for a piece of it. `normals` and
    `depth`: outward unit normals (V, 3) and half the local thickness (V,) in m, for the inner surface of the cortex.
    `joint`: where it turns against `parent` (3,). `anchor`: the point that stays when it grows (3,). `axes`: its
    principal directions as rows (3, 3), the longest first and away from the parent. `flesh`: balls of soft tissue
    that it carries, centre and radius (B, 4). All in metres, in the atlas's anatomical position.
    """

    name: str
    mesh: Mesh
    normals: Array
    depth: Array
    parent: str | None
    joint: Array
    anchor: Array
    axes: Array
    flesh: Array
    kind: str

    @property
    def hollow(self) -> bool:
        """Whether its shell holds soft tissue, not spongy bone: the skull alone."""
        return self.name == "skull"

    @cached_property
    def along(self) -> Array:
        """Where each vertex lies on the long axis (V,), in m from the atlas's origin."""
        return np.asarray(self.mesh.vertices.astype(np.float64) @ self.axes[0], np.float64)

    @cached_property
    def low(self) -> float:
        """The near end on the long axis, in m."""
        return float(self.along.min())

    @cached_property
    def length(self) -> float:
        """Extent along the long axis in m."""
        return float(self.along.max()) - self.low

    @cached_property
    def girth(self) -> float:
        """Distance in m from the long axis that three in ten vertices stay within: about a shaft's radius."""
        across = np.cross(self.mesh.vertices - self.middle, self.axes[0])
        return float(np.quantile(np.linalg.norm(across, axis=1), 0.3))

    @cached_property
    def middle(self) -> Array:
        """The mean of the vertices (3,)."""
        return np.asarray(self.mesh.vertices.mean(axis=0).astype(np.float64), np.float64)

    @cached_property
    def reach(self) -> float:
        """Distance in m of the farthest vertex from the middle."""
        return float(np.linalg.norm(self.mesh.vertices - self.middle, axis=1).max())


@dataclass(frozen=True, kw_only=True, eq=False)
class Skeleton:
    """All bones, parents before children."""

    bones: Mapping[str, Bone]

    def __getitem__(self, name: str) -> Bone:
        return self.bones[name]

    def named(self, *patterns: str) -> list[str]:
        """The bones whose names match one of the regular expressions, in order."""
        whole = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
        return [name for name in self.bones if whole.fullmatch(name)]


def mirrored(bone: Bone) -> Bone:
    """The bone's counterpart on the other side."""
    flip = np.array([-1.0, 1.0, 1.0])

    def other(name: str) -> str:
        stem, dot, piece = name.partition(".")
        return (stem[:-2] + "_l" if stem.endswith("_r") else stem) + dot + piece

    return replace(
        bone,
        name=other(bone.name),
        parent=bone.parent and other(bone.parent),
        mesh=Mesh(vertices=bone.mesh.vertices * flip.astype(np.float32), faces=bone.mesh.faces[:, ::-1].copy()),
        normals=bone.normals * flip,
        joint=bone.joint * flip,
        anchor=bone.anchor * flip,
        axes=bone.axes * flip * np.array([1.0, 1.0, -1.0])[:, None],
        flesh=bone.flesh * np.r_[flip, 1.0],
    )
