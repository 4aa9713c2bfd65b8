"""Lungs: two closed surfaces between spine, cage, heart and diaphragm, carried by the thoracic vertebrae.

Each is a grid of `HEIGHTS` steps from the apex down to the base, along `OUTLINE`, the outline of a slice, and then the
dome of the diaphragm from the base's rim to its middle. Heart and mediastinum are what the lungs leave between them.
"""

from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.matter import Matter
from training.simulate.mesh import Mesh
from training.simulate.pose import Place
from training.simulate.project import add_capsules, add_mesh
from training.simulate.shot import Extra

Array = npt.NDArray[np.float64]
Map = npt.NDArray[np.float32]

LEVEL = np.array([1.165, 1.19, 1.22, 1.245, 1.27, 1.30, 1.33, 1.36, 1.39, 1.425])
"""Heights in m for which the next tables hold, in mm."""
HALF_WIDTH = np.array([122, 125, 129, 130, 128, 123, 115, 103, 84, 36])
BACK = np.array([-163, -168, -172, -174, -174, -171, -167, -160, -152, -138])
FRONT = np.array([-35, -26, -22, -22, -26, -32, -40, -52, -72, -98])
HEART = {
    1.0: np.array([31, 33, 34, 33, 31, 28, 25, 22, 19, 16]),
    -1.0: np.array([82, 80, 76, 68, 54, 40, 32, 32, 24, 18]),
}
"""Border of heart and great vessels to the right (+1) and left (-1) of the middle."""

# A slice: where it lies between the middle and the side (0 to 1), and between back and front (0 to 1).
OUTLINE = np.array(
    [(0.20, 0.2), (0.24, 0.05), (0.5, 0.0), (0.8, 0.1), (0.96, 0.3), (1.0, 0.5), (0.93, 0.72), (0.74, 0.92), (0.5, 1.0)]
)
MEDIAL = np.array([0.93, 0.68, 0.42])
"""Between back and front: the last points of a slice, at the heart's border."""
RIM = np.array([22, 8, 0, 0, 4, 10, 22, 36, 44, 48, 50, 42]) / 1000
"""How much higher than its deepest recess the base's rim lies at each point of the outline, in m."""
HEIGHTS = np.array([0.0, 0.04, 0.1, 0.18, 0.28, 0.4, 0.52, 0.64, 0.76, 0.88, 1.0])
DOME = ((0.72, 0.55), (0.4, 0.9), (0.12, 1.0))


def lungs(filling: tuple[float, float] = (0.55, 0.85), base: tuple[float, float] = (1.145, 1.195)) -> Extra:
    """Air in the lungs: `filling` of their volume; `base`: height of the deepest recess in m, as deep as the breath."""

    def add(depth: Map, body: Body, camera: Camera, matter: Matter, random: np.random.Generator) -> None:
        carriers = _carriers(body)
        if not carriers:
            return
        bottom, size = random.uniform(*base), random.uniform(0.7, 1.2)
        share = matter.gas * random.uniform(*filling)
        for side in (1.0, -1.0):
            low = bottom + (0.006 if side > 0 else -0.006) + random.normal(0.0, 0.004)
            mesh = _lung(side, low, size, float(random.uniform(0.035, 0.06)))
            surface = _carried(body, carriers, mesh.vertices.astype(np.float64))
            add_mesh(depth, camera, surface, mesh.faces, share)
        _vessels(depth, body, camera, matter, random, carriers)

    return add


def _lung(side: float, bottom: float, heart: float, dome: float) -> Mesh:
    """The surface at rest."""
    apex, count = float(LEVEL[-1]), len(OUTLINE) + len(MEDIAL)
    rings = [
        _slice(side, apex - 0.004 - share * (apex - bottom - RIM), heart, 0.35 + 0.65 * min(1.0, share / 0.1))
        for share in HEIGHTS
    ]
    rim = rings[-1]
    middle = rim.mean(axis=0)
    for wide, high in DOME:
        ring = middle + wide * (rim - middle)
        ring[:, 2] = (1 - high) * rim[:, 2] + high * (bottom + 0.03 + dome)
        rings.append(ring)
    vertices = np.concatenate([*rings, rings[0].mean(axis=0)[None] + [0, 0, 0.003], rings[-1].mean(axis=0)[None]])
    faces = _faces(len(rings), count)
    return Mesh(vertices=vertices.astype(np.float32), faces=faces if side > 0 else faces[:, ::-1].copy())


def _slice(side: float, height: Array, heart: float, wide: float) -> Array:
    """Points (12, 3) of the outline at their heights (12,)."""
    half, back, front, border = (np.interp(height, LEVEL, row) / 1000 for row in (HALF_WIDTH, BACK, FRONT, HEART[side]))
    border = np.minimum(border * heart, 0.75 * half)
    across = np.r_[OUTLINE[:, 0], np.zeros(3)] * half
    across[:2] = np.maximum(across[:2], 0.022)
    across[-4] = max(across[-4], border[-4] * 1.1 + 0.006)
    across[-3:] = border[-3:] * np.array([0.95, 1.0, 0.7])
    deep = back + np.r_[OUTLINE[:, 1], MEDIAL] * (front - back)
    centre = (across.mean(), deep.mean())
    return np.stack(
        [side * (centre[0] + wide * (across - centre[0])), centre[1] + wide * (deep - centre[1]), height], axis=1
    )


@cache
def _faces(rings: int, count: int) -> npt.NDArray[np.int32]:
    """Quadrilaterals between rings, and fans at both ends; outwards on the right side."""
    faces = []
    for ring in range(rings - 1):
        for k in range(count):
            a, b = ring * count + k, ring * count + (k + 1) % count
            faces += [(a, a + count, b), (b, a + count, b + count)]
    top, end = rings * count, rings * count + 1
    last = (rings - 1) * count
    for k in range(count):
        faces += [(top, k, (k + 1) % count), (end, last + (k + 1) % count, last + k)]
    return np.array(faces, np.int32)


def _carriers(body: Body) -> list[tuple[float, Place]]:
    """Height at rest and place of the thoracic vertebrae, from below."""
    found = []
    for number in range(12, 0, -1):
        name = f"t{number}"
        if name in body.where:
            found.append((float(body.skeleton[name].middle[2]), body.where[name]))
    return found


def _carried(body: Body, carriers: list[tuple[float, Place]], points: Array) -> Array:
    """Points (N, 3) where the vertebrae at their height take them, between two of them the mixture of both."""
    warped = body.subject.warped(points)
    heights = np.array([height for height, _ in carriers])
    position = np.clip(np.interp(points[:, 2], heights, np.arange(len(heights))), 0, len(heights) - 1)
    result = np.zeros_like(points)
    for number, (_, place) in enumerate(carriers):
        weight = np.maximum(0.0, 1.0 - np.abs(position - number))
        near = weight > 0
        # About the place's own origin alone: the vertebra's growth is not the chest's.
        result[near] += weight[near, None] * ((warped[near] - place.origin) @ place.turn.T + place.position)
    return result


def _vessels(
    depth: Map,
    body: Body,
    camera: Camera,
    matter: Matter,
    random: np.random.Generator,
    carriers: list[tuple[float, Place]],
    count: int = 36,
) -> None:
    """Arteries and veins from the hila outwards, thinner as they go."""
    side = random.choice([-1.0, 1.0], count)
    hilum = np.stack([side * 0.036, np.full(count, -0.095), 1.285 + random.normal(0.0, 0.012, count)], axis=1)
    angle = random.uniform(-0.5 * np.pi, 0.42 * np.pi, count)
    way = np.stack([side * np.cos(angle), random.normal(0.0, 0.5, count), np.sin(angle)], axis=1)
    way *= (random.uniform(0.02, 0.032, count) / np.linalg.norm(way, axis=1))[:, None]
    radius = random.uniform(0.0018, 0.0042, count) * random.uniform(0.6, 1.2)
    points = [hilum]
    for _ in range(3):
        way = way + random.normal(0.0, 0.006, way.shape)
        points.append(points[-1] + way)
    carried = [_carried(body, carriers, each) for each in points]
    for step, (start, end) in enumerate(pairwise(carried)):
        add_capsules(depth, camera, start, end, radius * (1.0 - 0.28 * step), -0.7 * matter.gas)
