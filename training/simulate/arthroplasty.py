"""An artificial shoulder where the own one was: a stem in the humerus with a cap for a head, or the reverse kind."""

import numpy as np
import numpy.typing as npt

from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.hardware import Capsule, Ellipsoid, Solids, add_solids
from training.simulate.matter import Matter
from training.simulate.pose import aligning
from training.simulate.project import add_mesh
from training.simulate.prostheses import stem
from training.simulate.shot import Extra

Array = npt.NDArray[np.float64]
Map = npt.NDArray[np.float32]

UP = np.array([0.0, 0.0, 1.0])
METAL = (500.0, 1800.0)
"""Attenuation in 1/m: titanium at 80 keV has 180, cobalt chrome at 60 keV 1200; what is more looks the same."""


def cap(radius: float, height: float, *, rings: int = 9, sides: int = 28) -> tuple[Array, npt.NDArray[np.int32]]:
    """What has `height` of a ball of `radius`: vertices (V, 3) and faces (F, 3), pole up, flat base at 0."""
    polar = np.linspace(0.0, np.arccos(1.0 - height / radius), rings + 1)[1:]
    around = np.linspace(0.0, 2 * np.pi, sides, endpoint=False)
    rows = [
        np.stack(
            [np.sin(p) * np.cos(around), np.sin(p) * np.sin(around), np.full(sides, np.cos(p) - np.cos(polar[-1]))], 1
        )
        for p in polar
    ]
    vertices = radius * np.concatenate([[[0.0, 0.0, 1.0 - np.cos(polar[-1])], [0.0, 0.0, 0.0]], *rows])
    one, other = np.arange(sides), (np.arange(sides) + 1) % sides
    faces = [np.stack([np.zeros(sides, int), one + 2, other + 2], 1)]
    for row in range(rings - 1):
        a, b = 2 + row * sides, 2 + (row + 1) * sides
        faces += [np.stack([one + a, one + b, other + b], 1), np.stack([one + a, other + b, other + a], 1)]
    last = 2 + (rings - 1) * sides
    faces.append(np.stack([np.ones(sides, int), other + last, one + last], 1))
    return vertices, np.concatenate(faces).astype(np.int32)


def artificial_shoulder(side: str) -> Extra:
    """What adds a prosthesis of the side `r` or `l`, wherever the humerus lies."""

    def add(depth: Map, body: Body, camera: Camera, _matter: Matter, random: np.random.Generator) -> None:
        out = 1.0 if side == "r" else -1.0
        name = f"humerus_{side}"
        head = body.where[name](body.skeleton[name].joint)
        down = body.along(name, 0.5) - body.along(name, 0.1)
        down /= np.linalg.norm(down)
        inward = body.direction(name, (-out * 0.75, -0.22, 0.0))
        inclined = float(np.deg2rad(random.uniform(35, 50)))
        pole = np.cos(inclined) * inward / np.linalg.norm(inward) - np.sin(inclined) * down
        length = float(np.linalg.norm(body.along(name, 1.0) - body.along(name, 0.0)))
        size = length / 0.32
        metal = float(random.uniform(*METAL))
        top = body.along(name, float(random.uniform(0.06, 0.11)))
        made = _stem(top, top + down * size * float(random.uniform(0.07, 0.15)), head, random, size)
        if random.random() < 0.65:
            radius = size * float(random.uniform(0.02, 0.027))
            height = radius * float(random.uniform(0.5, 0.95))
            base = head + pole * (0.85 * radius - height + float(random.normal(0.0, 0.002)))
            _add_cap(depth, camera, base, pole, radius, height, metal)
        else:
            ball = head + body.direction(f"scapula_{side}", (-out * 0.012, -0.004, 0.004))
            face = body.direction(f"scapula_{side}", (out * 0.93, 0.3, -0.1))
            radius = size * float(random.uniform(0.017, 0.021))
            _add_cap(depth, camera, ball - 0.2 * radius * face, face, radius, 1.2 * radius, metal)
            made += _reverse(top, ball, face, radius, random)
        add_solids(depth, camera, made, metal)

    return add


def _add_cap(depth: Map, camera: Camera, base: Array, pole: Array, radius: float, height: float, metal: float) -> None:
    vertices, faces = cap(radius, height)
    add_mesh(depth, camera, vertices @ aligning(UP, pole).T + base, faces, metal, samples=2)


def _stem(top: Array, tip: Array, head: Array, random: np.random.Generator, size: float) -> Solids:
    """Broad at the neck, tapered in the shaft."""
    wide, narrow = size * float(random.uniform(0.0055, 0.0085)), size * float(random.uniform(0.0035, 0.006))
    body = tuple(
        Capsule(start=top, end=top + share * (head - top), radius=float(wide * (1.0 + 0.35 * share)), weight=0.5)
        for share in (0.4, 0.75)
    )
    return stem(top, tip, wide, narrow) + body


def _reverse(top: Array, ball: Array, face: Array, radius: float, random: np.random.Generator) -> Solids:
    """A cup on the stem that faces the ball, and a plate on the socket held by a peg and two or three screws."""
    towards = ball - top
    towards /= np.linalg.norm(towards)
    disc = aligning(UP, towards) @ np.diag([1.0, 1.0, 0.3]) * radius * 1.05
    made: Solids = (
        Capsule(start=top, end=ball - towards * 1.5 * radius, radius=0.55 * radius, weight=0.6),
        Ellipsoid(centre=ball - towards * 1.35 * radius, axes=disc),
        Capsule(start=ball - 0.2 * radius * face, end=ball - 0.9 * radius * face, radius=0.3 * radius),
    )
    for tilt in random.uniform(-0.5, 0.5, int(random.integers(2, 4))):
        start = ball - 0.2 * radius * face + 0.6 * radius * np.sign(tilt) * UP
        way = -face + tilt * UP
        made += (
            Capsule(start=start, end=start + way / np.linalg.norm(way) * random.uniform(0.018, 0.034), radius=0.002),
        )
    return made
