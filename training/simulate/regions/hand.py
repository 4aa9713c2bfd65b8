"""Hand: posteroanterior, bone age, oblique, lateral, fan, single fingers, thumb, both hands, ball catcher's."""

import numpy as np
import numpy.typing as npt

from training.simulate.pose import LATERAL, Pose, turn
from training.simulate.regions.arm import even_forearm, hand_bones, wrist_bent
from training.simulate.regions.fingers import bent, folded, thumb
from training.simulate.regions.sides import either, outward
from training.simulate.shot import AP, PA, Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

Array = npt.NDArray[np.float64]
Parts = dict[str, tuple[float, float]]

FLAT = {"proximal": (-10.0, 10.0), "middle": (-2.0, 10.0), "distal": (-3.0, 8.0)}
RELAXED = {"proximal": (5.0, 50.0), "middle": (5.0, 60.0), "distal": (0.0, 35.0)}
CROOKED = {"proximal": (-20.0, 60.0), "middle": (20.0, 100.0), "distal": (-10.0, 60.0)}
"""Flat on the cassette; at rest; in a cast, in pain or with stiff joints."""


def _pose(
    skeleton: Skeleton,
    subject: Subject,
    side: str,
    random: np.random.Generator,
    fingers: dict[str, Array],
    first: dict[str, Array],
) -> Pose:
    """The hand on a forearm: the wrist is bent by a few degrees."""
    turns, moves = wrist_bent(
        skeleton, side, ulnar=float(random.normal(0.0, 8.0)), flexion=float(random.normal(0.0, 7.0))
    )
    return Pose(turns={**fingers, **first, **turns}, moves=moves, sizes=even_forearm(subject, side, random))


def _whole(side: str, random: np.random.Generator) -> Parts:
    """All fingertips and the carpus; often the wrist, sometimes a hand's length of forearm."""
    tips = {f"distal{ray}_{side}": (0.0, 1.0) for ray in range(1, 6)}
    palm = {f"{bone}_{side}": (0.0, 1.0) for bone in ("metacarpal2", "metacarpal5", "capitate", "lunate")}
    forearm = 1.0 - float(random.choice([0.02, 0.1, 0.2, 0.4], p=[0.3, 0.4, 0.22, 0.08]) * random.uniform(0.6, 1.4))
    return {**tips, **palm, f"radius_{side}": (forearm, 1.0)}


def _up(random: np.random.Generator) -> tuple[float, float, float]:
    """Fingers upwards, as a rule."""
    return (0.0, 0.0, -1.0 if random.random() < 0.87 else 1.0)


def _beam(side: str, degrees: float) -> tuple[float, float, float]:
    """From the back of the hand (0), turned so that it comes from the thumb's side (90)."""
    angle = np.deg2rad(degrees)
    return (float(-outward(side) * np.sin(angle)), float(np.cos(angle)), 0.0)


def _flat(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    side = either(random)
    fingers = bent(skeleton, side, FLAT if random.random() < 0.9 else CROOKED, (-2.0, 10.0), random)
    back = random.random() < 0.85
    return Shot(
        view="pa" if back else "ap",
        show=_whole(side, random),
        bones=hand_bones(side),
        beam=PA if back else AP,
        up=_up(random),
        pose=_pose(skeleton, subject, side, random, fingers, thumb(skeleton, side, random)),
        margin=(1.02, 1.5),
        roll=9.0,
    )


def _bone_age(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """The left hand, as a rule, flat and its fingers spread, the thumb well away, with the wrist."""
    side = "l" if random.random() < 0.9 else "r"
    fingers = bent(skeleton, side, FLAT, (2.0, 11.0), random)
    first = thumb(skeleton, side, random, away=(28.0, 58.0), forward=(-8.0, 15.0), flexion=(-12.0, 10.0))
    return Shot(
        view="bone_age",
        show=_whole(side, random) | {f"radius_{side}": (float(random.uniform(0.75, 0.93)), 1.0)},
        bones=hand_bones(side),
        beam=PA,
        up=(0.0, 0.0, -1.0),
        pose=_pose(skeleton, subject, side, random, fingers, first),
        margin=(1.02, 1.5),
        roll=9.0,
        tilt=4.0,
    )


def _oblique(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Turned by 25 to 60 degrees on a wedge, the fingers straight or touching the cassette; or the ball catcher's."""
    side = either(random)
    flexion = FLAT if random.random() < 0.5 else RELAXED
    fingers = bent(skeleton, side, flexion, (0.0, 8.0), random)
    angle = float(random.uniform(25, 60))
    catcher = random.random() < 0.12
    return Shot(
        view="ball_catcher" if catcher else "oblique",
        show=_whole(side, random),
        bones=hand_bones(side),
        beam=_beam(side, 180.0 - angle if catcher else angle * (1 if random.random() < 0.85 else -1)),
        up=_up(random),
        pose=_pose(skeleton, subject, side, random, fingers, thumb(skeleton, side, random, forward=(0.0, 50.0))),
        margin=(1.02, 1.5),
        roll=9.0,
    )


def _lateral(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Straight, relaxed, or as a fan: each finger bent more than its neighbour, so that none hides another."""
    side = either(random)
    fan = random.random() < 0.6
    flexion = RELAXED if not fan and random.random() < 0.6 else FLAT
    turns = bent(skeleton, side, flexion, (0.0, 4.0), random)
    if fan:
        step, start = float(random.uniform(9, 20)), float(random.uniform(-25, 0))
        order = -1.0 if random.random() < 0.85 else 1.0
        for place, ray in enumerate((2, 3, 4, 5) if order > 0 else (5, 4, 3, 2)):
            name = f"proximal{ray}_{side}"
            turns[name] = turn(LATERAL, start + place * step) @ turns[name]
    first = thumb(skeleton, side, random, away=(5.0, 35.0), forward=(10.0, 55.0))
    return Shot(
        view="fan" if fan else "lateral",
        show=_whole(side, random),
        bones=hand_bones(side),
        beam=_beam(side, float(random.normal(90.0, 8.0)) * (1.0 if random.random() < 0.8 else -1.0)),
        up=_up(random),
        pose=_pose(skeleton, subject, side, random, turns, first),
        margin=(1.05, 1.6),
        roll=9.0,
    )


def _finger(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """One finger, or two neighbours, from any side; from the side the others are folded away."""
    side, ray = either(random), int(random.integers(2, 6))
    sideways = random.random() < 0.55
    angle = float(random.choice([90.0, -90.0]) if sideways else random.choice([0.0, 0.0, 45.0, -45.0, 180.0]))
    turns = bent(skeleton, side, FLAT if random.random() < 0.7 else RELAXED, (2.0, 10.0), random)
    keep = (ray, min(5, ray + 1)) if random.random() < 0.2 else (ray,)
    if sideways and random.random() < 0.85:
        turns |= {name: fold @ turns[name] for name, fold in folded(side, keep, random).items()}
    return Shot(
        view="finger",
        show={f"distal{ray}_{side}": (0.0, 1.0), f"metacarpal{ray}_{side}": (float(random.uniform(0.3, 0.95)), 1.0)},
        bones=hand_bones(side),
        beam=_beam(side, angle + float(random.normal(0.0, 7.0))),
        up=_up(random),
        frame=f"metacarpal{ray}_{side}",
        pose=_pose(skeleton, subject, side, random, turns, thumb(skeleton, side, random, forward=(0.0, 50.0))),
        margin=(1.05, 1.7),
        roll=11.0,
    )


def _thumb(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """The thumb alone: from the front, the side or obliquely, with its saddle joint as a rule."""
    side = either(random)
    turns = bent(skeleton, side, RELAXED if random.random() < 0.5 else FLAT, (0.0, 8.0), random)
    first = thumb(skeleton, side, random, away=(25.0, 65.0), forward=(0.0, 45.0))
    return Shot(
        view="thumb",
        show={
            f"distal1_{side}": (0.0, 1.0),
            f"metacarpal1_{side}": (float(random.choice([0.0, 0.0, 0.7])), 1.0),
            f"trapezium_{side}": (0.0, 1.0),
        },
        bones=hand_bones(side),
        beam=_beam(side, float(random.uniform(-180.0, 180.0))),
        up=_up(random),
        pose=_pose(skeleton, subject, side, random, turns, first),
        margin=(1.05, 1.6),
        roll=15.0,
    )


def _both(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Side by side: palms down the thumbs meet in the middle, palms up they point outwards."""
    turns: dict[str, Array] = {}
    moves: dict[str, Array] = {}
    sizes: dict[str, tuple[float, float]] = {}
    show: Parts = {}
    back = random.random() < 0.75
    gap = float(random.uniform(0.055, 0.085)) * (-1.0 if back else 1.0)
    for side in ("r", "l"):
        fingers = bent(skeleton, side, FLAT if random.random() < 0.85 else CROOKED, (0.0, 8.0), random)
        pose = _pose(skeleton, subject, side, random, fingers, thumb(skeleton, side, random, away=(10.0, 40.0)))
        shift = np.array([outward(side) * gap - skeleton[f"capitate_{side}"].middle[0], 0.0, 0.0])
        turns |= pose.turns
        moves |= {**pose.moves, f"ulna_{side}": shift}
        sizes |= pose.sizes
        show |= _whole(side, random)
    angle = np.deg2rad(0.0 if random.random() < 0.8 else random.uniform(25, 45))
    return Shot(
        view="both",
        show=show,
        bones=(*hand_bones("r"), *hand_bones("l")),
        beam=(0.0, float(np.cos(angle)), float(np.sin(angle))) if back else AP,
        up=_up(random),
        pose=Pose(turns=turns, moves=moves, sizes=sizes),
        margin=(1.02, 1.25),
        roll=4.0,
    )


VIEWS = (
    View(name="flat", weight=4.0, draw=_flat),
    View(name="bone_age", weight=1.6, draw=_bone_age, children=2.5),
    View(name="oblique", weight=2.5, draw=_oblique),
    View(name="lateral", weight=1.3, draw=_lateral),
    View(name="finger", weight=1.2, draw=_finger),
    View(name="thumb", weight=0.5, draw=_thumb),
    View(name="both", weight=0.7, draw=_both),
)
