"""Wrist: posteroanterior, lateral, oblique, scaphoid, carpal tunnel, both wrists, distal forearm."""

import numpy as np
import numpy.typing as npt

from training.simulate.pose import LATERAL, Pose, turn
from training.simulate.regions.arm import even_forearm, hand_bones, pronated, wrist_bent
from training.simulate.regions.fingers import bent, thumb
from training.simulate.regions.sides import either, outward
from training.simulate.shot import AP, PA, Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

Array = npt.NDArray[np.float64]

STRAIGHT = {"proximal": (-8.0, 15.0), "middle": (0.0, 15.0), "distal": (0.0, 10.0)}
CUPPED = {"proximal": (0.0, 60.0), "middle": (5.0, 80.0), "distal": (0.0, 40.0)}
"""Fingers flat on the cassette, or half closed to bring the wrist nearer to it."""


def _pose(
    skeleton: Skeleton,
    subject: Subject,
    side: str,
    random: np.random.Generator,
    *,
    ulnar: tuple[float, float] = (0.0, 7.0),
    flexion: tuple[float, float] = (0.0, 8.0),
) -> Pose:
    """A wrist at rest: `ulnar` and `flexion` are mean and standard deviation in degrees."""
    fingers = bent(skeleton, side, STRAIGHT if random.random() < 0.6 else CUPPED, (-1.0, 7.0), random)
    forearm = pronated(skeleton, side, float(random.normal(0.0, 8.0)))
    turns, moves = wrist_bent(
        skeleton,
        side,
        ulnar=float(random.normal(*ulnar)),
        flexion=float(random.normal(*flexion)),
        forearm=forearm[f"radius_{side}"],
    )
    first = thumb(skeleton, side, random, away=(10.0, 50.0), flexion=(-10.0, 40.0))
    return Pose(turns={**fingers, **first, **forearm, **turns}, moves=moves, sizes=even_forearm(subject, side, random))


def _framing(side: str, random: np.random.Generator) -> dict[str, tuple[float, float]]:
    """From the joint alone to the distal forearm and all metacarpals."""
    wide = float(random.beta(1.2, 1.4))
    forearm = (1.0 - (0.07 + 0.3 * wide * float(random.uniform(0.5, 1.0))), 1.0)
    palm = (0.0, float(np.clip(0.15 + 0.7 * wide * random.uniform(0.4, 1.0), 0.1, 0.8)))
    return {
        f"radius_{side}": forearm,
        f"ulna_{side}": forearm,
        f"metacarpal2_{side}": palm,
        f"metacarpal5_{side}": palm,
        f"metacarpal1_{side}": (0.0, 0.3 + 0.7 * wide),
    }


def _up(random: np.random.Generator) -> tuple[float, float, float]:
    """Fingers upwards, as a rule."""
    return (0.0, 0.0, -1.0 if random.random() < 0.8 else 1.0)


def _around(side: str, degrees: float, *, back: bool = True) -> tuple[float, float, float]:
    """A horizontal beam from the back of the hand (0), turned so that it comes from the thumb's side (90)."""
    angle = np.deg2rad(degrees)
    sign = 1.0 if back else -1.0
    return (float(-outward(side) * np.sin(angle)), float(sign * np.cos(angle)), 0.0)


def _pa(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    side = either(random)
    back = random.random() < 0.75
    return Shot(
        view="pa" if back else "ap",
        show=_framing(side, random),
        bones=hand_bones(side),
        beam=PA if back else AP,
        up=_up(random),
        frame=f"radius_{side}",
        pose=_pose(skeleton, subject, side, random),
        margin=(1.02, 1.5),
        roll=8.0,
    )


def _lateral(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    side = either(random)
    angle = float(random.normal(90.0, 6.0)) * (1 if random.random() < 0.7 else -1)
    return Shot(
        view="lateral",
        show=_framing(side, random),
        bones=hand_bones(side),
        beam=_around(side, angle),
        up=_up(random),
        frame=f"radius_{side}",
        pose=_pose(skeleton, subject, side, random),
        margin=(1.1, 1.9),
        roll=8.0,
    )


def _oblique(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    side = either(random)
    angle = float(random.uniform(25, 65)) * (-1 if random.random() < 0.75 else 1)
    return Shot(
        view="oblique",
        show=_framing(side, random),
        bones=hand_bones(side),
        beam=_around(side, angle, back=random.random() < 0.8),
        up=_up(random),
        frame=f"radius_{side}",
        pose=_pose(skeleton, subject, side, random),
        margin=(1.02, 1.5),
        roll=8.0,
    )


def _scaphoid(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Ulnar deviation, the beam 10 to 30 degrees towards the elbow to lay the scaphoid out in its length."""
    side = either(random)
    tilt = np.deg2rad(random.uniform(0, 30))
    show = {
        f"radius_{side}": (float(random.uniform(0.88, 0.96)), 1.0),
        f"scaphoid_{side}": (0.0, 1.0),
        f"triquetrum_{side}": (0.0, 1.0),
        f"metacarpal1_{side}": (0.0, float(random.uniform(0.05, 0.8))),
        f"metacarpal2_{side}": (0.0, float(random.uniform(0.05, 0.5))),
    }
    return Shot(
        view="scaphoid",
        show=show,
        bones=hand_bones(side),
        beam=(0.0, float(np.cos(tilt)), float(np.sin(tilt))),
        up=_up(random),
        frame=f"radius_{side}",
        pose=_pose(skeleton, subject, side, random, ulnar=(24.0, 7.0)),
        margin=(1.05, 1.7),
        roll=10.0,
    )


def _tunnel(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Hand bent back, the beam along the palm: the carpal arch with the hook of the hamate (Gaynor-Hart)."""
    side = either(random)
    pose = _pose(skeleton, subject, side, random, flexion=(-70.0, 8.0))
    back = {f"proximal{ray}_{side}": turn(LATERAL, -50.0) for ray in range(2, 6)}
    turns = {name: back[name] @ value if name in back else value for name, value in pose.turns.items()}
    angle = np.deg2rad(random.normal(-5.0, 10.0))
    return Shot(
        view="carpal_tunnel",
        show={f"{bone}_{side}": (0.0, 1.0) for bone in ("pisiform", "hamate", "trapezium", "scaphoid", "trapezoid")},
        bones=hand_bones(side),
        beam=(0.0, float(-np.sin(angle)), float(np.cos(angle))),
        up=(0.0, 1.0, 0.0),
        frame=f"capitate_{side}",
        pose=Pose(turns=turns, moves=pose.moves, sizes=pose.sizes),
        margin=(1.1, 1.9),
        roll=12.0,
    )


def _both(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    turns: dict[str, Array] = {}
    moves: dict[str, Array] = {}
    sizes: dict[str, tuple[float, float]] = {}
    show: dict[str, tuple[float, float]] = {}
    back = random.random() < 0.7
    gap = float(random.uniform(0.05, 0.085))
    for side in ("r", "l"):
        pose = _pose(skeleton, subject, side, random)
        # Palms down the thumbs meet in the middle, palms up they point outwards.
        place = outward(side) * gap * (-1.0 if back else 1.0)
        shift = np.array([place - skeleton[f"capitate_{side}"].middle[0], 0.0, 0.0])
        turns |= pose.turns
        moves |= {**pose.moves, f"ulna_{side}": shift}
        sizes |= pose.sizes
        show |= _framing(side, random)
    return Shot(
        view="both",
        show=show,
        bones=(*hand_bones("r"), *hand_bones("l")),
        beam=PA if back else AP,
        up=_up(random),
        pose=Pose(turns=turns, moves=moves, sizes=sizes),
        margin=(1.02, 1.3),
    )


def _forearm(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """The distal half of the forearm with the wrist, from any side."""
    side = either(random)
    angle = float(random.choice([0.0, 180.0, 90.0, -90.0]) + random.normal(0.0, 12.0))
    part = (float(random.uniform(0.35, 0.7)), 1.0)
    return Shot(
        view="forearm",
        show={f"radius_{side}": part, f"ulna_{side}": part, f"metacarpal3_{side}": (0.0, float(random.uniform(0, 1)))},
        bones=hand_bones(side),
        beam=_around(side, angle),
        up=_up(random),
        frame=f"radius_{side}",
        pose=_pose(skeleton, subject, side, random),
        margin=(1.05, 1.4),
        roll=8.0,
    )


VIEWS = (
    View(name="pa", weight=4.0, draw=_pa),
    View(name="lateral", weight=3.0, draw=_lateral),
    View(name="oblique", weight=1.6, draw=_oblique),
    View(name="scaphoid", weight=0.9, draw=_scaphoid, children=0.3),
    View(name="carpal_tunnel", weight=0.15, draw=_tunnel, children=0.1),
    View(name="both", weight=0.4, draw=_both),
    View(name="forearm", weight=0.9, draw=_forearm, children=1.6),
)
