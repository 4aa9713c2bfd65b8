"""Ribs: upper and lower, front and back, oblique, one side or both, the sternum; framed to the cage."""

import numpy as np

from training.simulate import organs
from training.simulate.lungs import lungs
from training.simulate.pose import ANTERIOR, LATERAL, Pose, turn
from training.simulate.regions.sides import either
from training.simulate.regions.spine import curves, seen_from
from training.simulate.shot import Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

CAGE = (
    r"c[67]",
    r"t\d+",
    r"l[1-3]",
    r"rib\d+_[rl]",
    "sternum",
    r"cartilage_[rl]",
    r"clavicle_[rl]",
    r"scapula_[rl](\..*)?",
)
ARMS = (r"humerus_[rl](\..*)?",)
INSIDE = (lungs(filling=(0.4, 0.85), base=(1.135, 1.215)), organs.gas("throat", "stomach", "flexure"))


def _pose(random: np.random.Generator) -> Pose:
    turns = curves(random)
    for side, out in (("r", -1.0), ("l", 1.0)):
        turns[f"humerus_{side}"] = turn(ANTERIOR, out * random.uniform(0.0, 120.0)) @ turn(
            LATERAL, random.normal(0, 15)
        )
        turns[f"scapula_{side}"] = turn(ANTERIOR, out * random.uniform(-5.0, 25.0))
    return Pose(turns=turns)


def _ribs(random: np.random.Generator, side: str) -> dict[str, tuple[float, float]]:
    """One side: all of it, the upper or the lower ribs."""
    first, last = [(1, 12), (1, 10), (1, 8), (6, 12), (8, 12), (3, 9)][
        int(random.choice(6, p=[0.2, 0.2, 0.2, 0.17, 0.13, 0.1]))
    ]
    show = {
        f"rib{first}_{side}": (0.0, 1.0),
        f"rib{last}_{side}": (0.0, 1.0),
        f"rib{(first + last) // 2}_{side}": (0.0, 1.0),
    }
    if random.random() < 0.5:
        show[f"t{last}"] = (0.0, 1.0)
    return show


def _one_side(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    side, behind = either(random), bool(random.random() < 0.4)
    oblique = random.random() < 0.45
    angle = random.choice([-1.0, 1.0]) * random.normal(45.0, 10.0) if oblique else random.normal(0.0, 6.0)
    return Shot(
        view="oblique" if oblique else "pa" if behind else "ap",
        show=_ribs(random, side),
        bones=(*CAGE, *ARMS),
        beam=seen_from(float(angle), behind=behind),
        frame="t7",
        pose=_pose(random),
        margin=(0.85, 1.2),
        aspect=(0.55, 1.1),
        more=INSIDE,
    )


def _both_sides(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    behind, low = bool(random.random() < 0.4), random.random() < 0.5
    ribs = (7, 12, 9) if low else (1, 8, 5)
    show = {f"rib{number}_{side}": (0.0, 1.0) for number in ribs for side in ("r", "l")}
    return Shot(
        view="lower" if low else "upper",
        show=show,
        bones=(*CAGE, *ARMS),
        beam=seen_from(random.normal(0.0, 6.0), behind=behind),
        frame="t7",
        pose=_pose(random),
        margin=(0.85, 1.1),
        aspect=(0.8, 1.4),
        more=(*INSIDE, organs.bowel) if low else INSIDE,
    )


def _sternum(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    lateral = random.random() < 0.6
    beam = seen_from(90.0 * random.choice([-1.0, 1.0])) if lateral else seen_from(random.normal(20.0, 4.0), behind=True)
    return Shot(
        view="sternum",
        show={"sternum": (0.0, 1.0)},
        bones=(*CAGE, *ARMS),
        beam=beam,
        pose=_pose(random),
        margin=(1.0, 1.4),
        aspect=(0.5, 1.0),
        more=INSIDE,
    )


VIEWS = (
    View(name="one side", weight=5.0, draw=_one_side, children=0.6),
    View(name="both sides", weight=1.6, draw=_both_sides, children=0.7),
    View(name="sternum", weight=0.5, draw=_sternum, children=0.4),
)
