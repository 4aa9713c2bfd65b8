"""Clavicle: anteroposterior and axial, one or both, tight and wide; the joints at its ends."""

import numpy as np

from training.simulate.lungs import lungs
from training.simulate.pose import ANTERIOR, UP, Pose, turn
from training.simulate.regions.arm import CHEST
from training.simulate.regions.sides import either, outward
from training.simulate.shot import Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

Triple = tuple[float, float, float]

BONES = (r"(clavicle|scapula|humerus)_[rl](\..*)?", r"mandible(\..*)?", *CHEST)


def _pose(random: np.random.Generator) -> Pose:
    """Shoulders that hang or are drawn up, forward or back, not quite alike."""
    lift, back = float(random.normal(2.0, 6.0)), float(random.normal(0.0, 6.0))
    turns = {}
    for side in ("r", "l"):
        out = outward(side)
        raised = lift + float(random.normal(0.0, 3.0))
        turns[f"clavicle_{side}"] = turn(ANTERIOR, -out * raised) @ turn(UP, -out * back)
        turns[f"scapula_{side}"] = turn(ANTERIOR, out * 0.6 * raised)
        turns[f"humerus_{side}"] = turn(ANTERIOR, -out * float(random.uniform(0, 18))) @ turn(
            UP, -out * float(random.uniform(-70, 30))
        )
    return Pose(turns=turns)


def _beam(random: np.random.Generator, upwards: float, sideways: float = 5.0) -> Triple:
    """From the front, or one time in six from behind; `upwards` in degrees, sideways a standard deviation."""
    a, b = np.deg2rad([random.normal(0.0, sideways), upwards])
    front = -1.0 if random.random() < 0.83 else 1.0
    # Behind, the tube is above and looks towards the feet: the clavicle is thrown upwards all the same.
    return (float(np.sin(a)), float(front * np.cos(b)), float(-front * np.sin(b)))


def _one(random: np.random.Generator) -> tuple[str, dict[str, tuple[float, float]]]:
    """The whole clavicle, seldom with the joint below it."""
    side = either(random)
    show = {f"clavicle_{side}": (0.0, 1.0)}
    if random.random() < 0.45:
        show[f"scapula_{side}"] = (0.0, float(random.uniform(0.02, 0.3)))
    if random.random() < 0.2:
        show["sternum"] = (0.0, float(random.uniform(0.05, 0.25)))
    return side, show


def _ap(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    _, show = _one(random)
    return Shot(
        view="ap",
        show=show,
        bones=BONES,
        beam=_beam(random, float(random.normal(0.0, 4.0))),
        pose=_pose(random),
        more=(lungs(),),
        margin=(1.02, 1.55),
    )


def _axial(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """15 to 30 degrees towards the head lift the clavicle off the ribs; slim people need more."""
    _, show = _one(random)
    return Shot(
        view="axial",
        show=show,
        bones=BONES,
        beam=_beam(random, float(random.uniform(13.0, 38.0))),
        pose=_pose(random),
        more=(lungs(),),
        margin=(1.02, 1.5),
    )


def _both(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    return Shot(
        view="both",
        show={"clavicle_r": (0.0, 1.0), "clavicle_l": (0.0, 1.0)},
        bones=BONES,
        beam=_beam(random, float(random.uniform(-3.0, 22.0))),
        pose=_pose(random),
        more=(lungs(),),
        margin=(1.0, 1.25),
        roll=3.0,
    )


def _outer(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """The outer two thirds with the joint to the acromion (Zanca: 10 to 15 degrees towards the head)."""
    side = either(random)
    return Shot(
        view="outer",
        show={f"clavicle_{side}": (float(random.uniform(0.2, 0.6)), 1.0), f"scapula_{side}": (0.0, 0.03)},
        bones=BONES,
        beam=_beam(random, float(random.uniform(0.0, 18.0))),
        pose=_pose(random),
        more=(lungs(),),
        margin=(1.05, 1.4),
    )


def _inner(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """The joints to the sternum, tilted far towards the head (Rockwood's view) or turned."""
    return Shot(
        view="inner",
        show={
            "clavicle_r": (0.0, float(random.uniform(0.3, 0.7))),
            "clavicle_l": (0.0, float(random.uniform(0.3, 0.7))),
        },
        bones=BONES,
        beam=_beam(random, float(random.uniform(0.0, 40.0)), sideways=10.0),
        pose=_pose(random),
        more=(lungs(),),
        margin=(1.02, 1.4),
        roll=3.0,
    )


VIEWS = (
    View(name="ap", weight=4.0, draw=_ap),
    View(name="axial", weight=3.5, draw=_axial),
    View(name="both", weight=0.9, draw=_both),
    View(name="outer", weight=0.7, draw=_outer),
    View(name="inner", weight=0.25, draw=_inner),
)
