"""Elbow: anteroposterior, lateral, obliques, radial head, bent for the olecranon; with forearm or upper arm."""

import numpy as np

from training.simulate.pose import Pose
from training.simulate.regions.arm import elbow_bent, elbow_bones, even_forearm, pronated
from training.simulate.regions.sides import either, outward
from training.simulate.shot import Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

Triple = tuple[float, float, float]

TROCHLEA_SEEN = 9.0
"""Age in years at which the trochlea ossifies (Scheuer and Black 2000)."""


def _pose(
    skeleton: Skeleton,
    subject: Subject,
    side: str,
    random: np.random.Generator,
    *,
    flexion: float,
    pronation: tuple[float, float],
) -> Pose:
    """Flexion in degrees; the carrying angle varies with a standard deviation of 4 degrees (Paraskevas et al. 2004)."""
    turns, moves = elbow_bent(skeleton, side, flexion=flexion, valgus=float(random.normal(0.0, 4.0)))
    turns |= pronated(skeleton, side, float(random.uniform(*pronation)))
    sizes = even_forearm(subject, side, random)
    if subject.age < TROCHLEA_SEEN:
        # Until then the capitellum is all that there is of the epiphysis: on the outer side, and small.
        young = 1.0 - subject.age / TROCHLEA_SEEN
        moves[f"humerus_{side}.distal"] = np.array([outward(side) * (0.004 + 0.008 * young), 0.0, 0.0])
        sizes[f"humerus_{side}.distal"] = (1.0, 0.85 - 0.3 * young)
    return Pose(turns=turns, moves=moves, sizes=sizes)


def _framing(side: str, random: np.random.Generator) -> dict[str, tuple[float, float]]:
    """From the joint alone to half of the upper arm and of the forearm."""
    wide = float(random.beta(1.1, 1.8))
    above = 1.0 - (0.1 + 0.4 * wide * float(random.uniform(0.3, 1.0)))
    below = 0.08 + 0.45 * wide * float(random.uniform(0.3, 1.0))
    return {f"humerus_{side}": (above, 1.0), f"radius_{side}": (0.0, below), f"ulna_{side}": (0.0, below)}


def _around(side: str, degrees: float) -> Triple:
    """A horizontal beam from the front (0), turned so that it comes from the outer side (90)."""
    angle = np.deg2rad(degrees)
    return (float(-outward(side) * np.sin(angle)), float(-np.cos(angle)), 0.0)


def _up(random: np.random.Generator) -> Triple:
    return (0.0, 0.0, 1.0 if random.random() < 0.75 else -1.0)


def _ap(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Stretched, or as far as pain or a cast lets it be."""
    side = either(random)
    flexion = float(random.uniform(-5, 12) if random.random() < 0.75 else random.uniform(12, 50))
    return Shot(
        view="ap",
        show=_framing(side, random),
        bones=elbow_bones(side),
        beam=_around(side, 0.0),
        up=_up(random),
        frame=f"humerus_{side}",
        pose=_pose(skeleton, subject, side, random, flexion=flexion, pronation=(-10, 40)),
        margin=(1.05, 1.6),
        roll=9.0,
    )


def _lateral(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Bent to 60 to 100 degrees; hung with the upper arm upright or the forearm."""
    side = either(random)
    flexion = float(np.clip(random.normal(86.0, 14.0), 25.0, 125.0))
    angle = float(random.normal(90.0, 5.0)) * (1.0 if random.random() < 0.75 else -1.0)
    quarter = np.deg2rad(random.choice([0.0, 90.0, 45.0, -90.0, 180.0], p=[0.45, 0.25, 0.12, 0.1, 0.08]))
    return Shot(
        view="lateral",
        show=_framing(side, random),
        bones=elbow_bones(side),
        beam=_around(side, angle),
        up=(0.0, float(np.sin(quarter)), float(np.cos(quarter))),
        frame=f"humerus_{side}",
        pose=_pose(skeleton, subject, side, random, flexion=flexion, pronation=(0, 90)),
        margin=(1.05, 1.6),
        roll=12.0,
    )


def _oblique(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    side = either(random)
    angle = float(random.uniform(25, 60)) * (1.0 if random.random() < 0.5 else -1.0)
    return Shot(
        view="oblique",
        show=_framing(side, random),
        bones=elbow_bones(side),
        beam=_around(side, angle),
        up=_up(random),
        frame=f"humerus_{side}",
        pose=_pose(skeleton, subject, side, random, flexion=float(random.uniform(-5, 25)), pronation=(-10, 80)),
        margin=(1.05, 1.6),
        roll=9.0,
    )


def _radial_head(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Bent to 80 to 90 degrees, the beam from the outer side and 45 degrees towards the shoulder (Coyle)."""
    side = either(random)
    angle = np.deg2rad(random.normal(45.0, 7.0))
    return Shot(
        view="radial_head",
        show=_framing(side, random),
        bones=elbow_bones(side),
        beam=(float(-outward(side) * np.cos(angle)), 0.0, float(np.sin(angle))),
        up=(0.0, 1.0, 0.0) if random.random() < 0.5 else (0.0, 0.0, 1.0),
        frame=f"humerus_{side}",
        pose=_pose(skeleton, subject, side, random, flexion=float(random.uniform(75, 95)), pronation=(30, 90)),
        margin=(1.05, 1.6),
        roll=10.0,
    )


def _acute(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Fully bent, through the upper arm or along it: the olecranon in the trochlea (Jones)."""
    side = either(random)
    tilt = np.deg2rad(random.uniform(-5, 35))
    return Shot(
        view="acute_flexion",
        show={f"humerus_{side}": (float(random.uniform(0.75, 0.9)), 1.0), f"ulna_{side}": (0.0, 0.2)},
        bones=elbow_bones(side),
        beam=(0.0, float(-np.cos(tilt)), float(-np.sin(tilt))),
        up=_up(random),
        frame=f"humerus_{side}",
        pose=_pose(skeleton, subject, side, random, flexion=float(random.uniform(115, 140)), pronation=(0, 80)),
        margin=(1.05, 1.5),
        roll=9.0,
    )


def _long(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """The forearm or the upper arm with the elbow at the end of the picture."""
    side = either(random)
    below = random.random() < 0.6
    length = float(random.uniform(0.45, 0.75))
    forearm = (0.0, length if below else 0.12)
    return Shot(
        view="forearm" if below else "upper_arm",
        show={
            f"humerus_{side}": (0.9 if below else 1.0 - length, 1.0),
            f"radius_{side}": forearm,
            f"ulna_{side}": forearm,
        },
        bones=elbow_bones(side),
        beam=_around(side, float(random.choice([0.0, 90.0]) + random.normal(0, 10))),
        up=_up(random),
        frame=f"humerus_{side}",
        pose=_pose(skeleton, subject, side, random, flexion=float(abs(random.normal(0, 25))), pronation=(-10, 90)),
        margin=(1.05, 1.4),
        roll=9.0,
    )


VIEWS = (
    View(name="ap", weight=4.0, draw=_ap),
    View(name="lateral", weight=4.0, draw=_lateral),
    View(name="oblique", weight=1.0, draw=_oblique),
    View(name="radial_head", weight=0.5, draw=_radial_head, children=0.4),
    View(name="acute_flexion", weight=0.25, draw=_acute),
    View(name="long", weight=0.6, draw=_long),
)
