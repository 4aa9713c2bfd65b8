"""Knee: anteroposterior, both standing, lateral, skyline, tunnel, oblique; wide and as a crop of the joint alone."""

import numpy as np

from training.simulate.pose import ANTERIOR, LATERAL, UP, Pose, turn
from training.simulate.regions.legs import around, lower_leg, thigh
from training.simulate.regions.sides import either, outward
from training.simulate.shot import AP, PA, Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject


def _joint(which: str, random: np.random.Generator) -> dict[str, tuple[float, float]]:
    tight = random.random() < 0.3
    reach = float(random.uniform(0.055, 0.1) if tight else random.uniform(0.1, 0.32))
    return {f"femur_{which}": (1 - reach, 1.0), f"tibia_{which}": (0.0, reach * float(random.uniform(0.9, 1.3)))}


GLIDE = 0.7
"""Degrees that the patella moves around the condyles for each degree of flexion (Amis et al. 2006: 0.6 to 0.8)."""


def _bent(skeleton: Skeleton, which: str, degrees: float, random: np.random.Generator) -> Pose:
    """Flexion, with varus or valgus (standard deviation 4 degrees) and some rotation of the lower leg; the patella
    glides around the condyles.
    """
    crooked = turn(ANTERIOR, float(random.normal(0, 4))) @ turn(UP, float(random.normal(0, 5)))
    glide = turn(LATERAL, -GLIDE * degrees)
    condyles = skeleton[f"tibia_{which}"].joint + np.array([0.0, -0.005, 0.018])
    patella = skeleton[f"patella_{which}"]
    # The atlas's patella stands off the femur; heights from baja to alta (Insall and Salvati 1971) differ by 1 cm.
    snug = np.array([0.0, -float(random.uniform(0.003, 0.009)), float(random.normal(0.0, 0.004))])
    return Pose(
        turns={f"tibia_{which}": turn(LATERAL, -degrees) @ crooked, patella.name: glide},
        moves={patella.name: (np.eye(3) - glide) @ (condyles - patella.joint) + glide @ snug},
    )


def _together(poses: list[Pose]) -> Pose:
    return Pose(
        turns={name: value for pose in poses for name, value in pose.turns.items()},
        moves={name: value for pose in poses for name, value in pose.moves.items()},
    )


def _frontal(skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    which = either(random)
    tunnel = random.random() < 0.15
    turned = outward(which) * float(random.choice([0.0, 45.0, -45.0], p=[0.84, 0.08, 0.08]))
    return Shot(
        view="tunnel" if tunnel else "ap" if turned == 0 else "oblique",
        show=_joint(which, random),
        bones=(thigh(which), lower_leg(which)),
        beam=around("up", turned, AP if random.random() < 0.8 else PA),
        pose=_bent(skeleton, which, float(random.uniform(30, 50) if tunnel else abs(random.normal(0, 7))), random),
        margin=(1.0, 1.5),
    )


def _crop(skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    """The joint alone, standing with the knee bent a little, as studies of arthritis cut it out: the condyles fill the
    picture's width. The beam follows the tibia's plateau.
    """
    which = either(random)
    reach = float(random.uniform(0.05, 0.085))
    bend = float(abs(random.normal(8.0, 8.0)))
    return Shot(
        view="crop",
        show={f"femur_{which}": (1 - reach, 1.0), f"tibia_{which}": (0.0, reach * float(random.uniform(0.9, 1.4)))},
        bones=(thigh(which), lower_leg(which)),
        beam=(0.0, 1.0 if random.random() < 0.7 else -1.0, 0.0),
        frame=f"tibia_{which}",
        pose=_bent(skeleton, which, bend, random),
        margin=(0.98, 1.2),
        aspect=(0.85, 1.15),
        jitter=0.03,
        tilt=3.5,
        roll=4.0,
    )


def _standing(skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    bend = float(abs(random.normal(0, 8)))
    if random.random() < 0.15:  # the middle of a picture of both legs
        reach = float(random.uniform(0.35, 0.6))
        show = {
            f"{bone}_{which}": part
            for which in ("r", "l")
            for bone, part in (("femur", (1 - reach, 1.0)), ("tibia", (0.0, reach)))
        }
        return _pair(skeleton, "long_legs", show, bend, random)
    return _pair(skeleton, "both", {**_joint("r", random), **_joint("l", random)}, bend, random)


def _pair(
    skeleton: Skeleton, view: str, show: dict[str, tuple[float, float]], bend: float, random: np.random.Generator
) -> Shot:
    return Shot(
        view=view,
        show=show,
        bones=(thigh("[rl]"), lower_leg("[rl]")),
        beam=AP if random.random() < 0.6 else PA,
        pose=_together([_bent(skeleton, which, bend, random) for which in ("r", "l")]),
        margin=(1.02, 1.3),
    )


def _lateral(skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    which = either(random)
    show = _joint(which, random) | {f"patella_{which}": (0.0, 1.0)}
    bend = float(random.uniform(0, 90) if random.random() < 0.3 else random.uniform(15, 45))
    return Shot(
        view="lateral",
        show=show,
        bones=(thigh(which), lower_leg(which)),
        beam=(1.0 if random.random() < 0.5 else -1.0, 0.0, 0.0),
        pose=_bent(skeleton, which, bend, random),
        margin=(1.0, 1.4),
        roll=12.0,
    )


def _skyline(skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    """The beam runs along the joint between patella and femur; the patella is on top."""
    sides = ("r", "l") if random.random() < 0.4 else (either(random),)
    bend = float(random.uniform(35, 100))
    show: dict[str, tuple[float, float]] = {}
    for which in sides:
        show |= {f"patella_{which}": (0.0, 1.0), f"femur_{which}": (0.94, 1.0)}
    pattern = "[rl]" if len(sides) == 2 else sides[0]
    angle = np.deg2rad(GLIDE * bend + random.normal(0, 6))
    along = 1.0 if random.random() < 0.5 else -1.0
    return Shot(
        view="skyline",
        show=show,
        bones=(thigh(pattern), lower_leg(pattern)),
        beam=(0.0, float(along * np.sin(angle)), float(along * np.cos(angle))),
        up=(0.0, float(np.cos(angle)), float(-np.sin(angle))),
        pose=_together([_bent(skeleton, which, bend, random) for which in sides]),
        margin=(1.05, 1.5),
    )


VIEWS = (
    View(name="frontal", weight=5.0, draw=_frontal),
    View(name="crop", weight=2.5, draw=_crop, children=0.4),
    View(name="both", weight=1.7, draw=_standing),
    View(name="lateral", weight=3.5, draw=_lateral),
    View(name="skyline", weight=1.0, draw=_skyline),
)
