"""Pelvis and hip: whole pelvis, one hip, frog leg, lateral, Judet's obliques, infants."""

import math

import numpy as np

from training.simulate import organs
from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.matter import Matter
from training.simulate.pose import ANTERIOR, LATERAL, UP, Pose, turn
from training.simulate.project import add_ellipsoids
from training.simulate.regions.legs import PIECES, Array, around, thigh
from training.simulate.regions.sides import either, outward
from training.simulate.scene import Map
from training.simulate.shot import AP, PA, Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

TRUNK = rf"(pelvis_r|pelvis_l|sacrum|l5|l4|l3){PIECES}"
INSIDE = (organs.gas("rectum"), organs.bowel)
INSIDE_AN_INFANT = (organs.gas("rectum", filling=(0.1, 0.7)), organs.bowel)


def _hip(which: str, random: np.random.Generator) -> dict[str, Array]:
    """Standing or lying: feet turned in or out, a little abduction."""
    spin = turn(UP, outward(which) * float(random.normal(2, 12)))
    return {f"femur_{which}": spin @ turn(ANTERIOR, -outward(which) * float(random.normal(4, 6)))}


def _frog(which: str, random: np.random.Generator) -> dict[str, Array]:
    sign = outward(which)
    apart = turn(ANTERIOR, -sign * float(random.uniform(30, 60)))
    return {
        f"femur_{which}": apart
        @ turn(UP, sign * float(random.uniform(30, 70)))
        @ turn(LATERAL, float(random.uniform(5, 40)))
    }


def _whole(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    frog = random.random() < 0.15
    turns = {**(_frog if frog else _hip)("r", random), **(_frog if frog else _hip)("l", random)}
    low = float(random.uniform(0.08, 0.3))
    inlet = float(random.choice([0.0, 0.6, -0.6], p=[0.9, 0.05, 0.05]))
    return Shot(
        view="frog" if frog else "ap",
        show={"pelvis_r": (0.0, 1.0), "pelvis_l": (0.0, 1.0), "femur_r": (0.0, low), "femur_l": (0.0, low)},
        bones=(TRUNK, thigh("[rl]")),
        beam=(0.0, -1.0, inlet),
        pose=Pose(turns=turns),
        margin=(0.9, 1.25),
        more=(*INSIDE, shield) if random.random() < 0.04 else INSIDE,
    )


def _hips(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    """Both hips with the lower half of the pelvis, collimated to a strip."""
    frog = random.random() < 0.3
    turns = {**(_frog if frog else _hip)("r", random), **(_frog if frog else _hip)("l", random)}
    low, top = float(random.uniform(0.08, 0.2)), float(random.uniform(0.35, 0.65))
    return Shot(
        view="hips_frog" if frog else "hips",
        show={"pelvis_r": (top, 1.0), "pelvis_l": (top, 1.0), "femur_r": (0.0, low), "femur_l": (0.0, low)},
        bones=(TRUNK, thigh("[rl]")),
        pose=Pose(turns=turns),
        margin=(0.95, 1.15),
        aspect=(1.0, 1.6),
        more=(*INSIDE, shield) if random.random() < 0.06 else INSIDE,
    )


def shield(depth: Map, body: Body, camera: Camera, _matter: Matter, random: np.random.Generator) -> None:
    """Lead for the gonads, in the middle over or below the symphysis, with rounded edges."""
    middle = (body.between("pelvis_r", 0.8, 1.0).mean(axis=0) + body.between("pelvis_l", 0.8, 1.0).mean(axis=0)) / 2
    centre = middle + np.array([random.normal(0.0, 0.01), 0.1, random.uniform(-0.05, 0.06)])
    size = np.array([random.uniform(0.02, 0.045), 0.0025, random.uniform(0.02, 0.05)])
    add_ellipsoids(depth, camera, centre[None], size[None], float(random.uniform(500.0, 2500.0)))


def _infant(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    """The pelvis of a child in its first year, for dysplasia: both hips, legs straight or apart."""
    frog = random.random() < 0.2
    turns = {**(_frog if frog else _hip)("r", random), **(_frog if frog else _hip)("l", random)}
    low = float(random.uniform(0.12, 0.5))
    show: dict[str, tuple[float, float]] = {f"pelvis_{which}": (0.0, 1.0) for which in ("r", "l")}
    if random.random() < 0.35:
        show = {f"pelvis_{which}": (float(random.uniform(0.1, 0.5)), 1.0) for which in ("r", "l")}
    return Shot(
        view="infant_frog" if frog else "infant",
        show=show | {"femur_r": (0.0, low), "femur_l": (0.0, low)},
        bones=(TRUNK, thigh("[rl]")),
        pose=Pose(turns=turns, sizes=_infantile(random), moves=_loose(random)),
        margin=(0.9, 1.3),
        more=(*INSIDE_AN_INFANT, shield) if random.random() < 0.12 else INSIDE_AN_INFANT,
    )


def _infantile(random: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Low and round iliac wings, stout femora, a sacrum that is largely cartilage."""
    low, wide = float(random.normal(0.72, 0.04)), float(random.normal(0.9, 0.04))
    large = float(random.normal(1.3, 0.06))
    stout = float(random.normal(1.1, 0.09))
    sizes = {f"pelvis_{which}": (low, wide) for which in ("r", "l")}
    sizes |= {f"pelvis_{which}.{piece}": (large, large) for which in ("r", "l") for piece in ("ischium", "pubis")}
    sizes |= {f"femur_{which}": (0.85, stout) for which in ("r", "l")}
    return sizes | {"sacrum": (0.7, float(random.normal(0.95, 0.08))), **dict.fromkeys(("l5", "l4", "l3"), (1.0, 1.2))}


def _loose(random: np.random.Generator) -> dict[str, Array]:
    """How far ischium and pubis lie below the ilium, and where the femur begins: close under the socket; in one hip of
    seven, a dysplastic one, farther out and up.
    """
    moves = {}
    for which in ("r", "l"):
        away, up = random.uniform(0.0, (0.016, 0.028)) if random.random() < 0.14 else (0.0, 0.0)
        place = (outward(which) * (away - 0.016 + random.normal(0.0, 0.003)), 0.0, 0.03 + up)
        moves[f"femur_{which}"] = np.array(place) + random.normal(0.0, 0.002, 3)
        # The head's centre stays in the socket, below the roof, or goes out of it with a dislocated femur.
        moves[f"femur_{which}.head"] = np.array([outward(which) * 0.012, 0.0, -0.03]) + random.normal(0.0, 0.002, 3)
        for piece in ("ischium", "pubis"):
            moves[f"pelvis_{which}.{piece}"] = np.array([0.0, 0.0, -float(random.normal(0.012, 0.002))])
    return moves


def _one(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    which = either(random)
    kind = str(random.choice(["ap", "frog", "judet", "lateral"], p=[0.45, 0.25, 0.1, 0.2]))
    turns = (_frog if kind == "frog" else _hip)(which, random)
    beam = AP if random.random() < 0.95 else PA
    if kind == "judet":
        beam = around("up", float(random.choice([-45.0, 45.0])), AP)
    if kind == "lateral":  # the other leg is lifted out of the way of the horizontal beam
        turns[f"femur_{'l' if which == 'r' else 'r'}"] = turn(LATERAL, 80.0)
        beam = (outward(which) * 0.75, 0.1, 0.65)
    show = {f"femur_{which}": (0.0, float(random.uniform(0.12, 0.4)))}
    half = kind != "lateral" and random.random() < 0.45
    if half:  # the hip with its half of the pelvis, as on a large film
        show[f"pelvis_{which}"] = (float(random.uniform(0.0, 0.5)), 1.0)
    return Shot(
        view=f"hip_{kind}",
        show=show,
        bones=(TRUNK, thigh("[rl]")),
        beam=beam,
        up=(0.0, 0.0, 1.0) if kind != "lateral" else (0.0, 1.0, 0.0),
        pose=Pose(turns=turns),
        margin=(1.0, 1.35) if half else (1.1, 1.8),
        jitter=0.08,
        more=INSIDE,
    )


VIEWS = (
    View(name="whole", weight=5.0, draw=_whole, children=1.2, infants=0.0),
    View(name="hips", weight=1.3, draw=_hips, children=1.5, infants=0.0),
    View(name="infant", weight=2.0, draw=_infant, children=math.inf, infants=1.0),
    View(name="one", weight=3.5, draw=_one, infants=0.0),
)
