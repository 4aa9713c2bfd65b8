"""Broken bones: a long bone or rib in the picture is cut, and what lies beyond moves with all that hangs on it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.simulate.body import Body
from training.simulate.cut import split
from training.simulate.mesh import Mesh
from training.simulate.pose import Pose, turn
from training.simulate.shot import Shot
from training.simulate.skeleton import Bone, Skeleton

Array = npt.NDArray[np.float64]

PIECE = "broken"
"""The far piece of `radius_r` is the bone `radius_r.broken`."""

PARTNERS = {"radius": "ulna", "ulna": "radius", "tibia": "fibula", "fibula": "tibia"}
TOGETHER = 0.35
"""Share of fractures of one of two neighbours in which the other one is broken at the same height."""


@dataclass(frozen=True, kw_only=True)
class Fracture:
    """`bone` is cut across at `share` of its length, `slant` (3,) added to the cut's normal of length one; the far
    piece turns by `bend` (3, 3) and moves by `shift` (3,) in m, both in the atlas's axes.
    """

    bone: str
    share: float
    slant: Array
    bend: Array
    shift: Array


def broken(body: Body, shot: Shot, random: np.random.Generator) -> Body:
    """The same body in the same pose with a fracture of a bone that the shot shows; the very same if there is none."""
    drawn = draw_fractures(body.skeleton, shot.show, random)
    skeleton, pose = body.skeleton, shot.pose
    for each in drawn:
        skeleton, pose = fractured(skeleton, pose, each, body.subject.sizes)
    if not drawn:
        return body
    return Body.posed(skeleton, body.subject, pose, [*skeleton.named(*shot.bones), *shot.show])


def draw_fractures(
    skeleton: Skeleton, show: Mapping[str, tuple[float, float]], random: np.random.Generator
) -> list[Fracture]:
    """One of the bones, by the length that is shown, and sometimes its neighbour: from a hairline to a bone's breadth
    apart.
    """
    able = [name for name in show if skeleton[name].kind in ("long", "rib")]
    if not able:
        return []
    shown = np.array([(show[name][1] - show[name][0]) * np.ptp(skeleton[name].along) for name in able])
    name = str(random.choice(able, p=shown / shown.sum()))
    low, high = np.clip(show[name], 0.04, 0.96)
    share = float(random.uniform(low, high))
    names = [name]
    stem, _, side = name.rpartition("_")
    partner = f"{PARTNERS.get(stem, '')}_{side}"
    if partner in show and random.random() < TOGETHER:
        names.append(partner)
    strength = float(random.beta(0.8, 2.0))
    slant = random.normal(size=3) * random.choice([0.1, 0.4, 1.2], p=[0.4, 0.4, 0.2])
    axis, way = random.normal(size=3), random.normal(size=3)
    bend = turn(axis, 45.0 * strength * float(random.uniform()))
    return [
        Fracture(
            bone=each,
            share=float(np.clip(share + random.normal(0.0, 0.03), 0.04, 0.96)),
            slant=slant,
            bend=bend,
            shift=way / np.linalg.norm(way) * strength * _breadth(skeleton[each]) + random.normal(0.0, 0.0003, 3),
        )
        for each in names
    ]


def fractured(
    skeleton: Skeleton, pose: Pose, fracture: Fracture, sizes: Mapping[str, tuple[float, float]]
) -> tuple[Skeleton, Pose]:
    """A skeleton in which the far piece is a bone of its own, and the pose that displaces it.

    Bones that hung on the far piece's end hang on the piece. `sizes`: the subject's; the piece grows like the whole.
    Nothing changes where the cut misses the bone.
    """
    whole = skeleton[fracture.bone]
    point = (whole.along.min() + fracture.share * np.ptp(whole.along) - whole.middle @ whole.axes[0]) * whole.axes[0]
    point = point + whole.middle
    normal = whole.axes[0] + fracture.slant - (fracture.slant @ whole.axes[0]) * whole.axes[0]
    normal /= np.linalg.norm(normal)
    far, near = split(whole.mesh, point, normal)
    if min(len(far.vertices), len(near.vertices)) < 8:
        return skeleton, pose
    beyond = (whole.flesh[:, :3] - point) @ normal > 0
    stump = replace(_open(whole, near), flesh=whole.flesh[~beyond])
    piece = replace(
        _open(whole, far),
        name=f"{whole.name}.{PIECE}",
        parent=whole.name,
        joint=point,
        anchor=point,
        flesh=whole.flesh[beyond],
    )
    bones: dict[str, Bone] = {}
    for name, bone in skeleton.bones.items():
        hung = bone.parent == whole.name and (bone.joint - point) @ normal > 0
        bones[name] = stump if name == whole.name else replace(bone, parent=piece.name) if hung else bone
        if name == whole.name:
            bones[piece.name] = piece
    own, asked = sizes.get(whole.name, (1.0, 1.0)), pose.sizes.get(whole.name, (1.0, 1.0))
    return Skeleton(bones=bones), Pose(
        turns={**pose.turns, piece.name: fracture.bend},
        moves={**pose.moves, piece.name: fracture.shift},
        sizes={**pose.sizes, piece.name: (own[0] * asked[0], own[1] * asked[1])},
    )


def _breadth(bone: Bone) -> float:
    """About the shaft's diameter in m."""
    across = np.linalg.norm(np.cross(bone.mesh.vertices - bone.middle, bone.axes[0]), axis=1)
    return 2.0 * float(np.quantile(across, 0.3))


def _open(bone: Bone, mesh: Mesh) -> Bone:
    """A piece of the bone whose cut is not closed by compact bone: a fresh fracture has no cortex of its own.

    The cut's outline keeps the normals of the surface next to it, and the cap's middle, the last vertex, no thickness:
    so the inner surface ends where the outer one does.
    """
    from scipy.spatial import cKDTree

    nearest = cKDTree(bone.mesh.vertices).query(mesh.vertices)[1]
    depth = bone.depth[nearest].copy()
    depth[-1] = 0.0
    return replace(bone, mesh=mesh, normals=bone.normals[nearest], depth=depth)
