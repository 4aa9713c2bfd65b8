"""Thoracic spine: AP, lateral, oblique, scoliosis, kyphosis, strips; with ribs and lungs around it."""

import numpy as np

from training.simulate import organs
from training.simulate.lungs import lungs
from training.simulate.pose import LATERAL, Pose, turn
from training.simulate.regions.spine import THORACIC, bend, curves, osteophytes, seen_from, together
from training.simulate.shot import Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

CHEST = (
    r"c[5-7]",
    r"t\d+",
    r"l[123]",
    r"rib\d+_[rl]",
    "sternum",
    r"cartilage_[rl]",
    r"clavicle_[rl]",
    r"scapula_[rl](\..*)?",
)
INSIDE = (osteophytes, lungs(), organs.gas("throat", "stomach", "flexure"), organs.bowel)


def _span(random: np.random.Generator) -> dict[str, tuple[float, float]]:
    kind = random.random()
    if kind < 0.65:  # the whole of it
        first, last = "c7" if random.random() < 0.4 else "t1", str(random.choice(["t12", "l1", "l2"]))
    elif kind < 0.85:  # without its upper or lower end
        first, last = f"t{random.integers(1, 5)}", f"t{random.integers(9, 13)}"
    else:
        first, last = f"t{random.integers(3, 8)}", "t12"
    return {first: (0.0, 1.0), last: (0.0, 1.0)}


def _front(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    return Shot(
        view="ap",
        show=_span(random),
        bones=CHEST,
        beam=seen_from(random.normal(0.0, 4.0), behind=bool(random.random() < 0.15)),
        frame="t7",
        pose=Pose(turns=curves(random)),
        margin=(0.92, 1.3),
        aspect=(0.3, 0.85),
        more=INSIDE,
    )


def _scoliotic(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    behind = bool(random.random() < 0.6)
    return Shot(
        view="scoliosis",
        show={"t1": (0.0, 1.0), "t12": (0.0, 1.0)} | ({"l2": (0.0, 1.0)} if random.random() < 0.4 else {}),
        bones=(*CHEST, r"humerus_[rl](\..*)?"),
        beam=seen_from(random.normal(0.0, 4.0), behind=behind),
        pose=Pose(turns=curves(random, strong=True)),
        margin=(0.9, 1.25),
        aspect=(0.45, 1.0),
        more=INSIDE,
    )


def _strip(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """The spine alone, or with the inner half of the chest, cut out of a larger film, from the front or the side."""
    lateral = random.random() < 0.25
    side = 90.0 if random.random() < 0.5 else -90.0
    first = ("c6", "t1", "t1", "t2", "t4")[random.integers(5)]
    last = ("t10", "t11", "t12", "t12", "l1", "l2")[random.integers(6)]
    return Shot(
        view="strip_lateral" if lateral else "strip",
        show={first: (0.0, 1.0), last: (0.0, 1.0)},
        bones=CHEST,
        beam=seen_from((side if lateral else 0.0) + random.normal(0.0, 5.0), behind=bool(random.random() < 0.5)),
        frame="t7" if random.random() < 0.3 else None,
        pose=Pose(turns=curves(random, strong=not lateral and random.random() < 0.75)),
        margin=(0.88, 1.15),
        aspect=(0.28, 0.85),
        jitter=0.06,
        distance=(1.0, 2.0),
        more=INSIDE,
    )


def _lateral(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """The arms are held forwards; quiet breathing may blur ribs and lungs."""
    turns = curves(random)
    if random.random() < 0.2:
        turns = together(turns, bend(THORACIC, back=-random.uniform(10.0, 35.0)))
    for side in ("r", "l"):
        turns[f"humerus_{side}"] = turn(LATERAL, random.uniform(70.0, 150.0))
    return Shot(
        view="lateral",
        show=_span(random),
        bones=(*CHEST, r"humerus_[rl](\..*)?") if random.random() < 0.7 else CHEST,
        beam=seen_from((90.0 if random.random() < 0.5 else -90.0) + random.normal(0.0, 4.0)),
        frame="t7",
        pose=Pose(turns=turns),
        margin=(0.9, 1.25),
        aspect=(0.35, 0.9),
        jitter=0.06,
        more=INSIDE,
    )


def _oblique(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    return Shot(
        view="oblique",
        show=_span(random),
        bones=CHEST,
        beam=seen_from(random.choice([-1.0, 1.0]) * random.uniform(20.0, 75.0), behind=bool(random.random() < 0.5)),
        frame="t7",
        pose=Pose(turns=curves(random)),
        margin=(0.9, 1.25),
        aspect=(0.4, 0.95),
        more=INSIDE,
    )


VIEWS = (
    View(name="front", weight=3.5, draw=_front),
    View(name="lateral", weight=3.5, draw=_lateral, children=0.7),
    View(name="scoliosis", weight=2.2, draw=_scoliotic, children=1.5),
    View(name="strip", weight=2.0, draw=_strip, children=1.2),
    View(name="oblique", weight=0.5, draw=_oblique, children=0.7),
)
