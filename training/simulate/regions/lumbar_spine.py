"""Lumbar spine: AP, lateral, flexion and extension, oblique, L5 and S1, scoliosis, strips, sacrum and coccyx."""

import numpy as np

from training.simulate import organs
from training.simulate.lungs import lungs
from training.simulate.pose import Pose
from training.simulate.regions.spine import LUMBAR, bend, curves, osteophytes, raised, seen_from, together
from training.simulate.shot import Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

LOIN = (r"t(8|9|10|11|12)", r"l\d", "sacrum", r"pelvis_[rl](\..*)?", r"rib(8|9|10|11|12)_[rl]")
HIPS = (r"femur_[rl](\..*)?",)
INSIDE = (osteophytes, organs.psoas, organs.gas("stomach", "flexure", "rectum"), organs.bowel)
DOMES = (lungs(), *INSIDE)


def _span(random: np.random.Generator) -> dict[str, tuple[float, float]]:
    top = str(random.choice(["t11", "t12", "l1", "l2"], p=[0.3, 0.4, 0.22, 0.08]))
    bottom = str(random.choice(["l4", "l5", "sacrum"], p=[0.07, 0.38, 0.55]))
    part = (0.5, 1.0) if bottom == "sacrum" and random.random() < 0.6 else (0.0, 1.0)
    return {top: (0.0, 1.0), bottom: part}


def _front(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    return Shot(
        view="ap",
        show=_span(random),
        bones=LOIN,
        beam=seen_from(random.normal(0.0, 4.0), behind=bool(random.random() < 0.2)),
        frame="l3",
        pose=Pose(turns=curves(random)),
        margin=(0.92, 1.35),
        aspect=(0.4, 1.05),
        more=DOMES,
    )


def _strip(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Some vertebrae alone, cut out of a larger film, from the front or the side: of a scoliosis, of a fracture, for a
    measurement. Whatever is beside them is cut off, and they need not be in the middle.
    """
    top, bottom = (("t10", "t11", "t12", "l1", "l2")[random.integers(5)], ("l3", "l4", "l5", "l5")[random.integers(4)])
    lateral = random.random() < 0.3
    side = 90.0 if random.random() < 0.5 else -90.0
    crooked = not lateral and random.random() < 0.7
    part = {"sacrum": (0.7, 1.0)} if bottom == "l5" and random.random() < 0.5 else {}
    return Shot(
        view="strip_lateral" if lateral else "strip",
        show={top: (0.0, 1.0), bottom: (0.0, 1.0)} | part,
        bones=LOIN,
        beam=seen_from((side if lateral else 0.0) + random.normal(0.0, 5.0), behind=bool(random.random() < 0.5)),
        frame="l3" if random.random() < 0.3 else None,
        pose=Pose(turns=curves(random, strong=crooked)),
        margin=(0.88, 1.12),
        aspect=(0.4, 1.15),
        jitter=0.07,
        distance=(1.0, 2.0),
        more=DOMES,
    )


def _scoliotic(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    return Shot(
        view="scoliosis",
        show=_span(random),
        bones=LOIN,
        beam=seen_from(random.normal(0.0, 5.0), behind=bool(random.random() < 0.6)),
        pose=Pose(turns=curves(random, strong=True)),
        margin=(0.9, 1.3),
        aspect=(0.38, 0.9),
        more=DOMES,
    )


def _lateral(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    turns, kind = curves(random), random.random()
    back = 0.0 if kind < 0.75 else random.choice([-1.0, 1.0]) * random.uniform(15.0, 40.0)
    return Shot(
        view="lateral" if kind < 0.75 else "flexion" if back < 0 else "extension",
        show=_span(random),
        bones=LOIN,
        beam=seen_from((90.0 if random.random() < 0.5 else -90.0) + random.normal(0.0, 4.0)),
        frame="l3",
        pose=Pose(turns=together(turns, bend(LUMBAR, back=back))),
        margin=(0.9, 1.3),
        aspect=(0.38, 0.9),
        jitter=0.06,
        more=DOMES,
    )


def _oblique(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    beam = seen_from(random.choice([-1.0, 1.0]) * random.normal(43.0, 9.0), behind=bool(random.random() < 0.4))
    return Shot(
        view="oblique",
        show=_span(random),
        bones=LOIN,
        beam=beam,
        frame="l3",
        pose=Pose(turns=curves(random)),
        margin=(0.9, 1.3),
        aspect=(0.45, 1.0),
        more=DOMES,
    )


def _spot(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """The lumbosacral joint, from the side or along the joint from the front."""
    lateral = random.random() < 0.65
    side = 90.0 if random.random() < 0.5 else -90.0
    return Shot(
        view="l5-s1",
        show={"l5": (0.0, 1.0), "sacrum": (0.6, 1.0)},
        bones=LOIN,
        beam=seen_from(side + random.normal(0.0, 3.0)) if lateral else raised(seen_from(0.0), random.normal(28.0, 6.0)),
        frame="l5",
        pose=Pose(turns=curves(random)),
        margin=(1.0, 1.8),
        aspect=(0.7, 1.2),
        more=INSIDE,
    )


def _sacrum(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Sacrum and coccyx from the side."""
    return Shot(
        view="sacrum",
        show={"sacrum": (0.0, 1.0)},
        bones=(*LOIN, *HIPS),
        beam=seen_from((90.0 if random.random() < 0.5 else -90.0) + random.normal(0.0, 3.0)),
        frame="sacrum",
        pose=Pose(turns=curves(random)),
        margin=(1.0, 1.6),
        aspect=(0.6, 1.1),
        more=INSIDE,
    )


VIEWS = (
    View(name="front", weight=3.5, draw=_front, children=0.7),
    View(name="lateral", weight=3.6, draw=_lateral, children=0.6),
    View(name="scoliosis", weight=1.2, draw=_scoliotic, children=1.5),
    View(name="strip", weight=2.2, draw=_strip, children=1.2),
    View(name="oblique", weight=1.0, draw=_oblique, children=0.5),
    View(name="spot", weight=0.7, draw=_spot, children=0.4),
    View(name="sacrum", weight=0.35, draw=_sacrum, children=0.4),
)
