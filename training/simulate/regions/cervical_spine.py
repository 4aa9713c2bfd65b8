"""Cervical spine: AP, lateral, flexion and extension, oblique, odontoid through the open mouth, swimmer's."""

import numpy as np

from training.simulate import organs
from training.simulate.pose import LATERAL, Pose, turn
from training.simulate.regions.spine import (
    CERVICAL,
    THORACIC,
    bend,
    osteophytes,
    raised,
    scoliosis,
    seen_from,
    together,
    wriggle,
)
from training.simulate.shot import Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

NECK = ("skull", "mandible", r"c\d", r"t[1-5]", r"rib[1-5]_[rl]", r"clavicle_[rl]")
ARMS = (r"scapula_[rl](\..*)?", r"humerus_[rl](\..*)?")
INSIDE = (osteophytes, organs.gas("sinus", "mastoid", "throat"), organs.petrous, organs.teeth)


def _pose(random: np.random.Generator, back: float = 0.0, opened: float = 0.0) -> Pose:
    turns = together(
        bend(CERVICAL, back=back, aside=random.normal(0.0, 4.0), twist=random.normal(0.0, 5.0)),
        bend(THORACIC[-5:], back=-random.normal(3.0, 8.0)),
        wriggle(CERVICAL, random, 1.8),
    )
    if random.random() < 0.1:
        turns = together(turns, scoliosis(random, random.uniform(5.0, 25.0)))
    if opened:
        turns["mandible"] = turn(LATERAL, -opened)
    return Pose(turns=turns)


def _span(random: np.random.Generator) -> dict[str, tuple[float, float]]:
    """From the jaw or the skull's base to the first or second thoracic vertebra."""
    top = str(random.choice(["c3", "c2", "c1"], p=[0.3, 0.3, 0.4]))
    bottom = str(random.choice(["c7", "t1", "t2", "t3"], p=[0.25, 0.4, 0.2, 0.15]))
    return {top: (0.0, 1.0), bottom: (0.0, 1.0)}


def _front(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """15 to 20 degrees towards the head; the jaw often covers the upper vertebrae."""
    return Shot(
        view="ap",
        show=_span(random),
        bones=(*NECK, *ARMS),
        beam=raised(seen_from(random.normal(0.0, 4.0)), random.normal(14.0, 7.0)),
        frame="c5",
        pose=_pose(random, back=random.normal(3.0, 10.0), opened=random.uniform(0.0, 10.0)),
        margin=(0.85, 1.5),
        aspect=(0.5, 1.15),
        more=INSIDE,
    )


def _lateral(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    kind = random.random()
    back = random.normal(0.0, 12.0) if kind < 0.65 else random.choice([-1.0, 1.0]) * random.uniform(15.0, 50.0)
    side = 90.0 if random.random() < 0.5 else -90.0
    return Shot(
        view="lateral" if kind < 0.65 else "flexion" if back < 0 else "extension",
        show=_span(random) | ({"skull": (0.25, 0.4)} if random.random() < 0.06 else {}),
        bones=(*NECK, *ARMS) if random.random() < 0.8 else NECK,
        beam=seen_from(side + random.normal(0.0, 4.0)),
        frame="c6" if random.random() < 0.6 else "t1",
        pose=_pose(random, back=back, opened=random.uniform(0.0, 5.0)),
        margin=(0.9, 1.5),
        aspect=(0.55, 1.1),
        distance=(1.2, 2.0),
        more=INSIDE,
    )


def _oblique(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    behind = bool(random.random() < 0.5)
    beam = seen_from(random.choice([-1.0, 1.0]) * random.normal(47.0, 8.0), behind=behind)
    return Shot(
        view="oblique",
        show=_span(random),
        bones=(*NECK, *ARMS),
        beam=raised(beam, (-1 if behind else 1) * random.normal(14.0, 6.0)),
        frame="c5",
        pose=_pose(random, back=random.normal(8.0, 8.0)),
        margin=(0.9, 1.5),
        aspect=(0.55, 1.1),
        more=INSIDE,
    )


def _odontoid(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    return Shot(
        view="odontoid",
        show={"c1": (0.0, 1.0), "c2": (0.0, 1.0)},
        bones=NECK,
        beam=raised(seen_from(random.normal(0.0, 3.0)), random.normal(0.0, 5.0)),
        frame="c2",
        pose=_pose(random, back=random.normal(-2.0, 8.0), opened=random.uniform(15.0, 32.0)),
        margin=(0.9, 2.0),
        aspect=(0.8, 1.2),
        more=(*INSIDE, organs.gas("mouth")),
    )


def _swimmer(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Across the shoulders, one arm raised, the other pulled down."""
    up, down = ("r", "l") if random.random() < 0.5 else ("l", "r")
    pose = _pose(random, back=random.normal(0.0, 8.0))
    turns = dict(pose.turns) | {
        f"humerus_{up}": turn(LATERAL, random.uniform(140.0, 175.0)),
        f"humerus_{down}": turn(LATERAL, random.uniform(-25.0, 10.0)),
    }
    return Shot(
        view="swimmer",
        show={"c4": (0.0, 1.0), "t3": (0.0, 1.0)},
        bones=(*NECK, *ARMS),
        beam=seen_from((90.0 if random.random() < 0.5 else -90.0) + random.normal(0.0, 6.0)),
        frame="c7",
        pose=Pose(turns=turns),
        margin=(1.0, 1.7),
        more=INSIDE,
    )


VIEWS = (
    View(name="front", weight=3.2, draw=_front),
    View(name="lateral", weight=4.0, draw=_lateral),
    View(name="oblique", weight=1.0, draw=_oblique),
    View(name="odontoid", weight=1.1, draw=_odontoid),
    View(name="swimmer", weight=0.4, draw=_swimmer),
)
