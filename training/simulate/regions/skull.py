"""Skull: front, lateral, cephalogram, Towne, Waters, base, nasal bones, jaw; heads are held in every way."""

import numpy as np

from training.simulate import organs
from training.simulate.pose import LATERAL, Pose, turn
from training.simulate.regions.spine import CERVICAL, Turns, bend, raised, seen_from, together, wriggle
from training.simulate.shot import Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

HEAD = ("skull", "mandible", r"c[1-7]")
SHOULDERS = (r"t[1-3]", r"rib[1-3]_[rl]", r"clavicle_[rl]", r"scapula_[rl](\..*)?")
INSIDE = (organs.gas("sinus", "mastoid", "throat"), organs.petrous, organs.teeth)


def _held(random: np.random.Generator, age: float, *, back: float = 12.0, opened: float = 0.2) -> Pose:
    """Neck and jaw as patients hold them."""
    turns: Turns = together(
        bend(CERVICAL, back=random.normal(0.0, back), aside=random.normal(0.0, 5.0), twist=random.normal(0.0, 6.0)),
        wriggle(CERVICAL, random),
    )
    if random.random() < opened:
        turns["mandible"] = turn(LATERAL, -random.uniform(2.0, 22.0))
    # The jaw reaches half its size when the vault is nearly grown (Humphrey 1998).
    jaw = 0.72 + 0.28 * min(1.0, age / 15.0)
    sizes = {
        "skull": (random.normal(1.0, 0.03), random.normal(1.0, 0.03)),
        "mandible": (jaw * random.normal(1.0, 0.04), jaw * random.normal(1.0, 0.04)),
    }
    return Pose(turns=turns, sizes=sizes)


def _shot(
    random: np.random.Generator,
    age: float,
    view: str,
    beam: tuple[float, float, float],
    show: dict[str, tuple[float, float]],
    *,
    margin: tuple[float, float] = (1.02, 1.35),
    tilt: float = 4.0,
    up: tuple[float, float, float] = (0.0, 0.0, 1.0),
    opened: float = 0.2,
    below: bool = False,
) -> Shot:
    return Shot(
        view=view,
        show=show,
        bones=(*HEAD, *SHOULDERS) if below else HEAD,
        beam=beam,
        up=up,
        frame="skull",
        pose=_held(random, age, opened=opened),
        margin=margin,
        aspect=(0.62, 1.35),
        tilt=tilt,
        roll=6.0,
        more=INSIDE,
    )


WHOLE = {"skull": (0.0, 1.0)}
JAW = {"mandible": (0.0, 1.0)}


def _front(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Straight, or 15 to 23 degrees towards the feet from behind (Caldwell)."""
    behind = bool(random.random() < 0.65)
    beam = seen_from(random.normal(0.0, 4.0), behind=behind)
    kind = random.random()
    angle = random.normal(0.0, 4.0) if kind < 0.5 else (-1 if behind else 1) * random.normal(17.0, 5.0)
    show = WHOLE | (JAW if random.random() < 0.7 else {})
    return _shot(random, subject.age, "pa" if behind else "ap", raised(beam, angle), show, below=random.random() < 0.3)


def _lateral(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    side = 90.0 if random.random() < 0.5 else -90.0
    beam = seen_from(side + random.normal(0.0, 3.0))
    show = WHOLE | (JAW if random.random() < 0.6 else {})
    return _shot(random, subject.age, "lateral", beam, show, margin=(1.0, 1.35), tilt=3.0, below=random.random() < 0.3)


def _cephalogram(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    side = 90.0 if random.random() < 0.5 else -90.0
    show = WHOLE | JAW | ({"c4": (0.0, 1.0)} if random.random() < 0.7 else {})
    beam = seen_from(side + random.normal(0.0, 1.5))
    return _shot(random, subject.age, "cephalogram", beam, show, margin=(0.95, 1.25), tilt=1.5, opened=0.1, below=True)


def _towne(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    beam = raised(seen_from(random.normal(0.0, 3.0)), -random.normal(32.0, 5.0))
    show = WHOLE | (JAW if random.random() < 0.4 else {})
    return _shot(random, subject.age, "towne", beam, show, opened=0.4)


def _waters(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    beam = raised(seen_from(random.normal(0.0, 3.0), behind=True), -random.normal(38.0, 7.0))
    show = WHOLE if random.random() < 0.5 else {"mandible": (0.0, 1.0), "skull": (0.6, 1.0)}
    return _shot(random, subject.age, "waters", beam, show, opened=0.5)


def _base(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    beam = raised(seen_from(0.0), random.normal(80.0, 6.0))
    return _shot(random, subject.age, "submentovertex", beam, WHOLE | JAW, up=(0.0, 1.0, 0.0), opened=0.1)


def _oblique(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Turned heads, and what trauma leaves of positioning."""
    beam = raised(seen_from(random.uniform(-180.0, 180.0)), random.normal(0.0, 18.0))
    return _shot(
        random, subject.age, "oblique", beam, WHOLE | (JAW if random.random() < 0.5 else {}), opened=0.4, tilt=8.0
    )


def _nose(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    beam = seen_from(90.0 if random.random() < 0.5 else -90.0)
    return _shot(random, subject.age, "nasal", beam, {"skull": (0.86, 1.0)}, margin=(0.9, 1.5), tilt=3.0)


def _jaw(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """One side of the jaw, thrown clear of the other."""
    side = 1.0 if random.random() < 0.5 else -1.0
    beam = raised(seen_from(side * random.normal(75.0, 12.0)), random.normal(25.0, 8.0))
    return _shot(random, subject.age, "mandible", beam, JAW, margin=(1.1, 1.8), opened=0.3)


def _face(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    beam = raised(seen_from(random.normal(0.0, 8.0), behind=True), -random.uniform(-5.0, 35.0))
    show = {"skull": (float(random.uniform(0.7, 0.85)), 1.0)} | (JAW if random.random() < 0.5 else {})
    return _shot(random, subject.age, "face", beam, show, margin=(0.9, 1.3), opened=0.3)


VIEWS = (
    View(name="front", weight=3.0, draw=_front),
    View(name="lateral", weight=3.0, draw=_lateral),
    View(name="cephalogram", weight=1.6, draw=_cephalogram, children=1.3),
    View(name="towne", weight=0.8, draw=_towne),
    View(name="waters", weight=1.2, draw=_waters),
    View(name="base", weight=0.4, draw=_base),
    View(name="oblique", weight=0.7, draw=_oblique),
    View(name="nose", weight=0.3, draw=_nose),
    View(name="jaw", weight=0.5, draw=_jaw),
    View(name="face", weight=0.6, draw=_face),
)
