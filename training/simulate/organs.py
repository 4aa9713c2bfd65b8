"""What fills the trunk and the head besides bone: lungs, airways, sinuses, gas in the bowel, teeth.

All of it is carried by bones and adds optical depth to a map, beyond the soft tissue that is there already: gas takes
away (the weight of `matter.gas`), teeth and the petrous bone add. Places and sizes are a radiographer's, in the atlas's
anatomical position, in mm in the tables `gas.csv` and `lungs.csv`; every subject varies them.
"""

import numpy as np
import numpy.typing as npt

from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.matter import Matter
from training.simulate.project import add_capsules, add_ellipsoids
from training.simulate.shot import Extra
from training.simulate.tables import rows

Array = npt.NDArray[np.float64]
Map = npt.NDArray[np.float32]

INCISORS, MOLARS = np.array([-0.0215, 1.5115]), np.array([-0.060, 1.5255])
"""Where the rows of teeth meet, in front and behind: y and z in m."""


def solids(depth: Map, body: Body, camera: Camera, bone: str, centres: Array, axes: Array, weights: Array) -> None:
    """Ellipsoids (N, 3), half axes along the atlas's axes (N, 3) in m, as `bone` carries them; nothing without it."""
    place = body.where.get(bone)
    if place is None or len(centres) == 0:
        return
    turned = place.turn[None] * axes[:, None, :]
    add_ellipsoids(depth, camera, place(body.subject.warped(centres)), turned, weights)


def gas(*kinds: str, filling: tuple[float, float] = (0.6, 1.0)) -> Extra:
    """The gas of the table's `kinds`, each place `filling` full of it, or now and then empty."""
    table = [row for row in rows("gas") if row["kind"] in kinds]

    def add(depth: Map, body: Body, camera: Camera, matter: Matter, random: np.random.Generator) -> None:
        for bone in dict.fromkeys(row["bone"] for row in table):
            own = [row for row in table if row["bone"] == bone]
            centres = np.array([[float(row[key]) for key in ("x", "y", "z")] for row in own]) / 1000
            axes = np.array([[float(row[key]) for key in ("rx", "ry", "rz")] for row in own]) / 1000
            axes *= np.exp(random.normal(0.0, 0.13, axes.shape))
            centres += random.normal(0.0, 0.1, centres.shape) * axes
            there = random.random(len(own)) < np.array([float(row["share"]) for row in own])
            full = matter.gas * random.uniform(*filling, len(own)) * there
            solids(depth, body, camera, bone, centres, axes, full)

    return add


def petrous(depth: Map, body: Body, camera: Camera, matter: Matter, random: np.random.Generator) -> None:
    """The pyramids and the base of the skull, the densest bone there is."""
    place = body.where.get("skull")
    if place is None:
        return
    grown = min(1.0, 0.5 + body.subject.age / 20)
    for side in (-1.0, 1.0):
        ends = np.array([[side * 0.056, -0.108, 1.546], [side * 0.016, -0.080, 1.553]])
        inner, outer = random.uniform(0.35, 0.8, 2) * matter.compact * grown
        add_capsules(depth, camera, place(ends[:1]), place(ends[1:]), 0.0075, inner)
        centre = np.array([[side * 0.052, -0.106, 1.538]])
        solids(depth, body, camera, "skull", centre, np.array([[0.009, 0.011, 0.014]]), np.array([0.35 * outer]))


def teeth(depth: Map, body: Body, camera: Camera, matter: Matter, random: np.random.Generator) -> None:
    """Two rows of sixteen, of which the old miss some and the young have few; crowns denser than roots; fillings."""
    subject = body.subject
    lost = 0.02 if subject.age < 45 else float(random.choice([0.05, 0.3, 0.95], p=[0.6, 0.25, 0.15]))
    number = 5 if subject.age < 6 else 6 if subject.age < 11 else 7 if subject.age < 18 else 8
    for bone, up in (("skull", 1.0), ("mandible", -1.0)):
        share = np.repeat((np.arange(number) + 0.4) / 7.6, 2)
        side = np.tile([-1.0, 1.0], number)
        y, z = (INCISORS + share[:, None] ** 1.25 * (MOLARS - INCISORS)).T
        crowns = np.stack([side * 0.027 * np.sin(share * 1.5) ** 0.75, y, z + up * 0.0035], axis=1)
        there = random.random(len(share)) > lost + 0.3 * (subject.age < 2)
        crowns = crowns[there]
        wide = 0.0035 + 0.0018 * (share[there] > 0.5)
        weight = matter.compact * random.uniform(0.8, 1.5) * np.ones(len(crowns))
        filled = random.random(len(crowns)) < random.choice([0.0, 0.05, 0.2]) * (subject.age > 12)
        weight[filled] += 350.0
        solids(depth, body, camera, bone, crowns, np.stack([wide, wide, np.full(len(wide), 0.0042)], axis=1), weight)
        roots = crowns + np.array([0.0, -0.001, up * 0.011])
        deep = np.stack([0.55 * wide, 0.7 * wide, np.full(len(wide), 0.009)], axis=1)
        solids(depth, body, camera, bone, roots, deep, np.full(len(roots), 0.45 * matter.compact))


def bowel(depth: Map, body: Body, camera: Camera, matter: Matter, random: np.random.Generator) -> None:
    """Gas in stomach and colon: chains of haustra along the flanks and across, loops in the middle."""
    amount = float(random.beta(1.0, 1.4))
    loops = []
    for _ in range(int(14 * amount)):
        start = np.array([random.uniform(-0.12, 0.12), random.uniform(-0.06, 0.02), random.uniform(0.9, 1.15)])
        way = random.normal(size=3) * np.array([1.0, 0.3, 1.0])
        way *= 0.016 / np.linalg.norm(way)
        loops += [start + way * step for step in range(int(random.integers(1, 6)))]
    if loops:
        centres = np.array(loops)
        axes = np.exp(random.normal(np.log(0.013), 0.4, (len(loops), 1)) + random.normal(0.0, 0.2, (len(loops), 3)))
        weights = matter.gas * random.uniform(0.2, 0.9, len(loops))
        solids(depth, body, camera, "l3", centres, axes, weights)


def psoas(depth: Map, body: Body, camera: Camera, matter: Matter, random: np.random.Generator) -> None:
    """The muscles beside the lumbar spine, and kidneys, a shade denser than the fat around them."""
    place = body.where.get("l3")
    if place is None:
        return
    more = matter.soft * random.uniform(0.0, 0.12)
    for side in (-1.0, 1.0):
        ends = place(np.array([[side * 0.028, -0.105, 1.13], [side * 0.062, -0.075, 0.98]]))
        add_capsules(depth, camera, ends[:1], ends[1:], random.uniform(0.018, 0.028), more)
        kidney = np.array([[side * 0.065, -0.12, 1.13 - 0.01 * side]]) + random.normal(0.0, 0.006, 3)
        solids(depth, body, camera, "l3", kidney, np.array([[0.028, 0.022, 0.052]]), np.array([more]))
