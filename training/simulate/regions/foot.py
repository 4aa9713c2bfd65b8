"""Foot: dorsoplantar, oblique, lateral, both feet, toes, heel."""

import numpy as np

from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.matter import Matter
from training.simulate.pose import ANTERIOR, LATERAL, UP, Pose, turn
from training.simulate.project import add_ellipsoids
from training.simulate.regions.legs import Array, around, forefoot, lower_leg, tarsus
from training.simulate.regions.sides import either, outward
from training.simulate.scene import Map
from training.simulate.shot import Extra, Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

Span = dict[str, tuple[float, float]]


def _whole(which: str) -> Span:
    tips = {f"toe_distal{ray}_{which}": (0.0, 1.0) for ray in (1, 2, 3)}
    return {**tips, f"metatarsal5_{which}": (0.0, 1.0), f"calcaneus_{which}": (0.0, 1.0)}


def shaped(which: str, random: np.random.Generator) -> dict[str, Array]:
    """Turns (3, 3) of a foot of its own: arch, hallux valgus (5 to 15 degrees, seldom 40), spread, and small toes that
    are bent as toes are: up at the first joint, down at the next two, much more so in one foot of five.
    """
    out = -outward(which)
    turns = {}
    arch = float(random.normal(0.0, 5.0))
    valgus = float(random.uniform(0, 12) if random.random() < 0.7 else random.uniform(12, 42))
    spread = float(np.clip(random.normal(0.0, 1.0), -1.8, 1.8))
    claw = float(random.uniform(0.2, 1.0) if random.random() < 0.8 else random.uniform(1.0, 2.2))
    drift = float(random.normal(3.0, 5.0))
    for ray in range(1, 6):
        fan = float(np.clip(random.normal(0.0, 1.0), -2, 2) + out * (ray - 3) * spread)
        turns[f"metatarsal{ray}_{which}"] = turn(UP, fan) @ turn(LATERAL, arch + float(random.normal(0.0, 2.0)))
        bend = claw if ray > 1 else 0.15 * claw
        # The small toes lean towards the big one, the fifth most of all.
        lean = out * -drift * (ray - 2) * 0.7 if ray > 1 else 0.0
        up, down, tip = (float(bend * random.normal(*each)) for each in ((22.0, 8.0), (-38.0, 12.0), (-18.0, 12.0)))
        turns[f"toe_proximal{ray}_{which}"] = turn(UP, lean + float(random.normal(0.0, 3.0))) @ turn(LATERAL, up)
        if ray > 1:
            turns[f"toe_middle{ray}_{which}"] = turn(LATERAL, down)
        turns[f"toe_distal{ray}_{which}"] = turn(LATERAL, tip)
    turns[f"metatarsal1_{which}"] = turn(UP, out * -valgus * 0.35) @ turns[f"metatarsal1_{which}"]
    turns[f"toe_proximal1_{which}"] = turn(UP, out * valgus * 0.8) @ turns[f"toe_proximal1_{which}"]
    turns[f"calcaneus_{which}"] = turn(ANTERIOR, float(random.normal(0.0, 5.0))) @ turn(LATERAL, -arch)
    return turns


SMALL_TOES = {2: 0.84, 3: 0.82, 4: 0.77, 5: 0.72}
"""Length of the first phalanges against the atlas's, which are as long as fingers': Ward et al. 2022 and other
measurements of dry bones have 28, 26, 24 and 22 mm."""


def proportions(which: str, random: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Lengths and widths of rays, beyond the subject's own (standard deviations of 6 and 10 %)."""
    long, wide = np.exp(random.normal(-0.03, 0.06)), np.exp(random.normal(0.04, 0.12))
    toes, thick = np.exp(random.normal(0.0, 0.1)), np.exp(random.normal(0.0, 0.1))
    sizes = {
        f"metatarsal{ray}_{which}": (float(long * np.exp(random.normal(-0.06 * (ray == 2), 0.04))), float(wide))
        for ray in range(1, 6)
    }
    for ray in range(1, 6):
        own = float(toes * np.exp(random.normal(0.0, 0.05)))
        broad = float(wide * thick * (1.15 if ray == 1 else 1.0))
        sizes[f"toe_proximal{ray}_{which}"] = (own * SMALL_TOES.get(ray, 0.85), broad)
        if ray > 1:
            sizes[f"toe_middle{ray}_{which}"] = (own * float(random.uniform(0.65, 1.0)), broad)
        sizes[f"toe_distal{ray}_{which}"] = (own * float(random.uniform(0.85, 1.15)), broad)
    return sizes


SEEDS = 9.0
"""Age in years from which the sesamoids are of bone."""


def sesamoids(which: str) -> Extra:
    """The two under the head of the first metatarsal, 8 to 14 mm long (Oloff and Schulhofer 1996)."""

    def add(depth: Map, body: Body, camera: Camera, matter: Matter, random: np.random.Generator) -> None:
        name = f"metatarsal1_{which}"
        if name not in body.where or body.subject.age < SEEDS:
            return
        ahead, below, aside = (body.direction(name, way) for way in ((-0.07, 0.95, -0.3), (0.0, -0.3, -0.95), LATERAL))
        head = body.along(name, float(random.uniform(0.84, 0.92)))
        size = float(random.uniform(0.004, 0.0065))
        centres = [
            head + below * 0.0135 + sign * aside * 0.0065 + ahead * float(random.normal(0.0, 0.0015))
            for sign in (-1, 1)
        ]
        shape = np.stack([aside * 0.75, ahead * float(random.uniform(0.95, 1.4)), below * 0.7], axis=1)
        axes = [shape * size * float(random.uniform(0.85, 1.15)) for _ in centres]
        add_ellipsoids(depth, camera, centres, np.array(axes), 0.5 * matter.compact + 0.5 * matter.spongy)

    return add


def floor(which: str) -> Extra:
    """The step or block that the patient stands on: what lies below the sole's line is denser, by a sharp edge."""

    def add(depth: Map, body: Body, camera: Camera, matter: Matter, random: np.random.Generator) -> None:
        gap = np.array([0.0, 0.0, -float(random.uniform(0.012, 0.022))])
        heel = body.between(f"calcaneus_{which}", 0.0, 1.0)
        ball = body.between(f"metatarsal1_{which}", 0.7, 1.0)
        points = np.stack([each[each[:, 2].argmin()] + gap for each in (heel, ball)])
        (u0, u1), (v0, v1), _ = camera.project(points)
        if abs(u1 - u0) < 2.0:
            return
        row, column = np.mgrid[0 : depth.shape[0], 0 : depth.shape[1]]
        below = row - (v0 + (column - u0) * (v1 - v0) / (u1 - u0))
        depth += np.float32(random.uniform(0.1, 3.0)) * np.clip(below + 0.5, 0.0, 1.0).astype(np.float32)

    return add


def _foot(which: str, random: np.random.Generator, bend: tuple[float, float]) -> Pose:
    ankle = turn(UP, float(random.normal(0, 6))) @ turn(LATERAL, -float(random.uniform(*bend)))
    return Pose(turns={**shaped(which, random), f"talus_{which}": ankle}, sizes=proportions(which, random))


def _bones(which: str) -> tuple[str, ...]:
    return (tarsus(which), forefoot(which), lower_leg(which))


def _framed(which: str, random: np.random.Generator) -> Span:
    """The whole foot; without the heel, which the leg hides or the film cuts off; or its front half alone."""
    part = random.random()
    if part < 0.45:
        return _whole(which)
    show = {name: span for name, span in _whole(which).items() if not name.startswith("calcaneus")}
    if part < 0.8:
        return show | {f"navicular_{which}": (0.0, 1.0), f"cuboid_{which}": (0.0, 1.0)}
    return show | {f"metatarsal{ray}_{which}": (float(random.uniform(0.0, 0.5)), 1.0) for ray in (1, 5)}


def _up(random: np.random.Generator) -> tuple[float, float, float]:
    """Toes upwards, as a rule."""
    return (0.0, 1.0 if random.random() < 0.88 else -1.0, 0.0)


def _dorsoplantar(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    which = either(random)
    return Shot(
        view="dp",
        show=_framed(which, random),
        bones=_bones(which) if random.random() < 0.5 else _bones(which)[:2],
        beam=(float(random.normal(0.0, 0.08)), float(random.uniform(-0.4, 0.05)), -1.0),
        up=_up(random),
        frame=f"talus_{which}",
        pose=_foot(which, random, (15.0, 55.0)),
        margin=(0.95, 1.45),
        roll=12.0,
        more=(sesamoids(which),),
    )


def _oblique(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    which = either(random)
    turned = float(random.uniform(20, 55)) * (1 if random.random() < 0.85 else -1) * outward(which)
    return Shot(
        view="oblique",
        show=_framed(which, random),
        bones=_bones(which) if random.random() < 0.5 else _bones(which)[:2],
        beam=around("front", turned, (0.0, float(random.uniform(-0.25, 0.05)), -1.0)),
        up=_up(random),
        frame=f"talus_{which}",
        pose=_foot(which, random, (10.0, 45.0)),
        margin=(0.95, 1.45),
        roll=12.0,
        more=(sesamoids(which),),
    )


def _lateral(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    """Lying on its side, or standing: then the leg is upright and the floor is seen."""
    which = either(random)
    standing = random.random() < 0.4
    show = _whole(which)
    if random.random() < 0.25:
        show |= {f"tibia_{which}": (float(random.uniform(0.85, 1.0)), 1.0)}
    return Shot(
        view="lateral_standing" if standing else "lateral",
        show=show,
        bones=_bones(which),
        beam=(1.0 if random.random() < 0.5 else -1.0, float(random.normal(0.0, 0.08)), 0.0),
        frame=None if standing else f"talus_{which}",
        pose=_foot(which, random, (-4.0, 4.0) if standing else (-8.0, 30.0)),
        margin=(0.98, 1.35),
        tilt=3.0 if standing else 6.0,
        roll=3.0 if standing else 15.0,
        more=(sesamoids(which), floor(which)) if standing and random.random() < 0.8 else (sesamoids(which),),
    )


def _toes(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    which = either(random)
    first = int(random.integers(1, 4))
    rays = range(first, 6) if random.random() < 0.6 else range(first, min(6, first + 2))
    turned = float(random.uniform(-50, 50))
    cut = float(random.uniform(0.3, 0.85))
    show: Span = {f"toe_distal{ray}_{which}": (0.0, 1.0) for ray in rays}
    return Shot(
        view="toes",
        show=show | {f"metatarsal{ray}_{which}": (cut, 1.0) for ray in rays},
        bones=(forefoot(which), tarsus(which)),
        beam=around("front", turned, (0.0, float(random.uniform(-0.3, 0.05)), -1.0)),
        up=(0.0, 1.0, 0.0),
        frame=f"talus_{which}",
        pose=_foot(which, random, (10.0, 40.0)),
        roll=15.0,
        more=(sesamoids(which),),
    )


def _both(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    poses = [_foot(which, random, (0.0, 20.0)) for which in ("r", "l")]
    turns = {name: value for pose in poses for name, value in pose.turns.items()}
    sizes = {name: value for pose in poses for name, value in pose.sizes.items()}
    return Shot(
        view="both",
        show={**_whole("r"), **_whole("l")},
        bones=(tarsus("[rl]"), forefoot("[rl]")),
        beam=(0.0, float(random.uniform(-0.35, 0.0)), -1.0),
        up=(0.0, 1.0, 0.0),
        pose=Pose(turns=turns, sizes=sizes),
        margin=(1.0, 1.3),
        more=(sesamoids("r"), sesamoids("l")),
    )


def _heel(_skeleton: Skeleton, _subject: Subject, random: np.random.Generator) -> Shot:
    which = either(random)
    lateral = random.random() < 0.5
    beam = (1.0 if random.random() < 0.5 else -1.0, 0.0, 0.0) if lateral else (0.0, -0.75, -0.65)
    return Shot(
        view="heel_lateral" if lateral else "heel_axial",
        show={f"calcaneus_{which}": (0.0, 1.0), f"navicular_{which}": (0.0, 1.0)}
        if lateral
        else {f"calcaneus_{which}": (0.0, 1.0)},
        bones=_bones(which),
        beam=beam,
        up=(0.0, 0.0, 1.0) if lateral else (0.0, 1.0, 0.0),
        frame=f"talus_{which}",
        pose=_foot(which, random, (-5.0, 15.0)),
        margin=(1.1, 1.7),
    )


VIEWS = (
    View(name="dp", weight=4.5, draw=_dorsoplantar),
    View(name="oblique", weight=2.5, draw=_oblique),
    View(name="lateral", weight=2.5, draw=_lateral),
    View(name="toes", weight=1.3, draw=_toes),
    View(name="both", weight=0.7, draw=_both),
    View(name="heel", weight=0.6, draw=_heel),
)
