"""Arthritis-like changes of the limbs' joints: less space, more on one side; sclerosis; spurs at the margins.

What a radiologist grades (Kellgren and Lawrence 1957): osteophytes, narrowing, sclerosis, deformed ends. Here all grow
with the subject's `wear`, and each joint draws its own share of it: some are spared.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.compose import visible
from training.simulate.matter import Matter
from training.simulate.pose import ANTERIOR, Pose, aligning, turn
from training.simulate.project import add_ellipsoids
from training.simulate.scene import Map
from training.simulate.shot import Extra
from training.simulate.skeleton import BALLS, Skeleton
from training.simulate.subject import Subject

Array = npt.NDArray[np.float64]

SPARED = 0.25
"""Wear of a joint below which nothing is seen."""

HEAD = 0.03
"""Radius in m within which the surface of a ball joint's bone counts as its head."""


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Where it wears: at the near end of the bones that `bones` matches, against their parents.

    `space`: how much of the gap can go, in m. `tilt`: degrees by which one side may lose more. `reach`: the share of
    the bone's length that is the joint's. `often`: factor of the wear, since shoulders and elbows wear less than knees.
    """

    bones: str
    space: float
    tilt: float
    reach: float
    often: float = 1.0


JOINTS = (
    Joint(bones=r"tibia_[rl]", space=0.0035, tilt=4.0, reach=0.05, often=1.2),
    Joint(bones=r"femur_[rl]", space=0.003, tilt=0.0, reach=0.09),
    Joint(bones=r"talus_[rl]", space=0.0015, tilt=3.0, reach=1.0, often=0.7),
    Joint(bones=r"metatarsal1_[rl]", space=0.0008, tilt=0.0, reach=0.15, often=0.8),
    Joint(bones=r"toe_proximal1_[rl]", space=0.0012, tilt=5.0, reach=0.2, often=1.2),
    Joint(bones=r"metacarpal1_[rl]", space=0.001, tilt=4.0, reach=0.2, often=1.2),
    Joint(bones=r"(middle[2-5]|distal[1-5])_[rl]", space=0.0008, tilt=7.0, reach=0.2),
    Joint(bones=r"proximal[1-3]_[rl]", space=0.0007, tilt=4.0, reach=0.15, often=0.6),
    Joint(bones=r"humerus_[rl]", space=0.002, tilt=0.0, reach=0.1, often=0.7),
    Joint(bones=r"(ulna|radius)_[rl]", space=0.0008, tilt=0.0, reach=0.1, often=0.6),
)
"""Prevalence by joint: hand, knee and hip most of all (Arden and Nevitt 2006)."""


def worn(
    skeleton: Skeleton, subject: Subject, names: Sequence[str], random: np.random.Generator
) -> dict[str, tuple[Joint, float]]:
    """The joints of the bones `names` that are worn, and how far, in (0.25, 1]."""
    if subject.wear < SPARED / 2:
        return {}
    found = {}
    for joint in JOINTS:
        whole = re.compile(joint.bones)
        for name in names:
            if whole.fullmatch(name) and skeleton[name].parent:
                share = float(min(1.0, subject.wear * joint.often * random.uniform(0.3, 1.6)))
                if share > SPARED:
                    found[name] = joint, share
    return found


def narrowed(pose: Pose, body: Body, joints: Mapping[str, tuple[Joint, float]], random: np.random.Generator) -> Pose:
    """The pose of `body` with each worn bone closer to its parent, and tilted towards one side."""
    moves, turns = dict(pose.moves), dict(pose.turns)
    for name, (joint, share) in joints.items():
        # Moves are in the world's axes: where the limb is bent, the bone's own direction is not the atlas's.
        up = (0.0, 0.0, -1.0) if joint.reach == 1.0 else body.skeleton[name].axes[0]
        shift = -body.direction(name, up) * joint.space * share * float(random.uniform(0.3, 1.0))
        moves[name] = moves.get(name, np.zeros(3)) + shift
        tilt = turn(ANTERIOR, float(random.normal(0.0, joint.tilt * share / 2)))
        turns[name] = tilt @ turns.get(name, np.eye(3))
    return replace(pose, moves=moves, turns=turns)


def wearing(joints: Mapping[str, tuple[Joint, float]]) -> Extra:
    """What adds spurs around the near ends of the worn bones, and denser bone under them."""

    def add(depth: Map, body: Body, camera: Camera, matter: Matter, random: np.random.Generator) -> None:
        inside = {name: joints[name] for name in visible(body, [n for n in joints if n in body.where], camera)}
        _add_wear(depth, body, camera, matter, inside, random)

    return add


def _add_wear(
    depth: Map,
    body: Body,
    camera: Camera,
    matter: Matter,
    joints: Mapping[str, tuple[Joint, float]],
    random: np.random.Generator,
) -> None:
    centres, shapes, weights = [], [], []
    for name, (joint, share) in joints.items():
        points = _end(body, name, joint)
        along = body.direction(name, body.skeleton[name].axes[0])
        centre = points.mean(axis=0)
        across = points - centre - np.outer((points - centre) @ along, along)
        radius = float(np.quantile(np.linalg.norm(across, axis=1), 0.9))
        for rim in _rim(points, across, int(random.integers(2, 7)), random):
            size = share * (0.0006 + radius * float(random.uniform(0.04, 0.12)))
            # Every other spur grows on the parent, just across the joint.
            centres.append(rim - along * float(random.choice([0.0, 0.4])) * radius)
            shapes.append(np.diag(size * random.uniform(0.6, 1.4, 3)))
            weights.append(matter.compact * float(random.uniform(0.3, 0.9)))
        towards = float(np.quantile((centre - points) @ along, 0.8))
        aside = across[int(random.integers(len(across)))] * float(random.uniform(0.2, 0.6))
        centres.append(centre + aside - 0.7 * towards * along)
        flat = np.diag([0.5, 0.5, 0.12]) * radius * float(random.uniform(0.7, 1.1))
        shapes.append(aligning((0.0, 0.0, 1.0), along) @ flat)
        weights.append((matter.compact - matter.spongy) * share * float(random.uniform(0.2, 0.7)))
    if centres:
        add_ellipsoids(depth, camera, np.array(centres), np.array(shapes), np.array(weights))


def _end(body: Body, name: str, joint: Joint) -> Array:
    """The bone's surface (N, 3) at the joint; of a ball and socket, the head alone."""
    points = body.between(name, 0.0, joint.reach)
    if name[:-2] not in BALLS:
        return points
    near = np.linalg.norm(points - body.where[name](body.skeleton[name].joint), axis=1) < HEAD
    return points[near] if near.any() else points


def _rim(points: Array, across: Array, count: int, random: np.random.Generator) -> Array:
    """Points (count, 3) of the end's margin: the outermost ones of a few random directions."""
    ways = random.normal(size=(count, 3))
    return np.asarray(points[(across @ ways.T).argmax(axis=0)], np.float64)
