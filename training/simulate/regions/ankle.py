"""Ankle: anteroposterior, mortise, lateral, oblique."""

import numpy as np

from training.simulate.pose import ANTERIOR, LATERAL, Pose, turn
from training.simulate.regions.foot import proportions, shaped
from training.simulate.regions.legs import around, forefoot, lower_leg, tarsus
from training.simulate.regions.sides import either, outward
from training.simulate.shot import AP, PA, Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject


def _pose(which: str, random: np.random.Generator) -> Pose:
    ankle = turn(ANTERIOR, float(random.normal(0, 4))) @ turn(LATERAL, float(random.uniform(-25, 10)))
    return Pose(turns={**shaped(which, random), f"talus_{which}": ankle}, sizes=proportions(which, random))


def _joint(which: str, random: np.random.Generator) -> dict[str, tuple[float, float]]:
    above = float(random.uniform(0.9, 0.96) if random.random() < 0.3 else random.uniform(0.68, 0.93))
    return {f"tibia_{which}": (above, 1.0), f"fibula_{which}": (above, 1.0), f"talus_{which}": (0.0, 1.0)}


def _frontal(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    which = either(random)
    turned = outward(which) * float(random.choice([0.0, 17.0, 17.0, 45.0, -45.0], p=[0.4, 0.2, 0.2, 0.15, 0.05]))
    show = _joint(which, random)
    if random.random() < 0.4:
        show |= {f"calcaneus_{which}": (0.0, 1.0)}
    return Shot(
        view="ap" if turned == 0 else "mortise" if abs(turned) < 30 else "oblique",
        show=show,
        bones=(lower_leg(which), tarsus(which), forefoot(which)),
        beam=around("up", turned, AP if random.random() < 0.95 else PA),
        pose=_pose(which, random),
        margin=(0.98, 1.55),
        roll=8.0,
    )


def _lateral(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    which = either(random)
    show = _joint(which, random)
    if random.random() < 0.75:
        show |= {f"calcaneus_{which}": (0.0, 1.0)}
    if random.random() < 0.35:
        show |= {f"metatarsal5_{which}": (0.0, 0.2)}
    return Shot(
        view="lateral",
        show=show,
        bones=(lower_leg(which), tarsus(which), forefoot(which)),
        beam=(1.0 if random.random() < 0.5 else -1.0, 0.0, 0.0),
        pose=_pose(which, random),
        margin=(1.0, 1.45),
        roll=10.0,
    )


def _both(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    poses = [_pose(which, random) for which in ("r", "l")]
    return Shot(
        view="both",
        show={**_joint("r", random), **_joint("l", random)},
        bones=(lower_leg("[rl]"), tarsus("[rl]"), forefoot("[rl]")),
        pose=Pose(
            turns={name: value for pose in poses for name, value in pose.turns.items()},
            sizes={name: value for pose in poses for name, value in pose.sizes.items()},
        ),
        margin=(1.05, 1.3),
    )


VIEWS = (
    View(name="frontal", weight=5.0, draw=_frontal),
    View(name="lateral", weight=4.0, draw=_lateral),
    View(name="both", weight=0.5, draw=_both),
)
