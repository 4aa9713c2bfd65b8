"""The spine's curves: bent, leaned and twisted, over as many joints as there are."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.matter import Matter
from training.simulate.organs import Map, solids
from training.simulate.pose import ANTERIOR, LATERAL, UP, turn

Array = npt.NDArray[np.float64]
Turns = dict[str, Array]

LUMBAR = tuple(f"l{number}" for number in range(5, 0, -1))
THORACIC = tuple(f"t{number}" for number in range(12, 0, -1))
CERVICAL = tuple(f"c{number}" for number in range(7, 0, -1))
UPWARD = (*LUMBAR, *THORACIC, *CERVICAL)
"""The vertebrae from below, as they hang on one another."""


def bend(names: Sequence[str], *, back: float = 0.0, aside: float = 0.0, twist: float = 0.0) -> Turns:
    """So many degrees backwards (extension), to the side and round, shared among the joints below `names`."""
    one = turn(LATERAL, back / len(names)) @ turn(ANTERIOR, aside / len(names)) @ turn(UP, twist / len(names))
    return dict.fromkeys(names, one)


def scoliosis(random: np.random.Generator, cobb: float) -> Turns:
    """A wave of 9 to 14 vertebrae length in the frontal plane whose steepest ends are `cobb` degrees apart, with the
    rotation that goes along with it: about half a degree a degree at the apex (Stokes 1989).
    """
    period, start = random.uniform(9.0, 15.0), random.uniform(0.0, 2 * np.pi)
    low, high = random.uniform(0, 4), random.uniform(13, 18)
    number = np.arange(len(UPWARD))
    share = np.clip((number - low + 2) / 3, 0, 1) * np.clip((high - number) / 3, 0, 1)
    lean = 0.5 * cobb * np.sin(2 * np.pi * number / period + start) * share
    round_ = 0.35 * cobb * random.uniform(0.5, 1.3) * np.cos(2 * np.pi * number / period + start) * share
    turns = {}
    for name, aside, twist in zip(UPWARD, np.diff(lean, prepend=0.0), np.diff(round_, prepend=0.0), strict=True):
        turns[name] = turn(ANTERIOR, float(aside)) @ turn(UP, float(twist))
    return turns


def together(*parts: Turns) -> Turns:
    """Turns one after another."""
    result: Turns = {}
    for part in parts:
        for name, one in part.items():
            result[name] = result[name] @ one if name in result else one
    return result


def wriggle(names: Sequence[str], random: np.random.Generator, spread: float = 1.2) -> Turns:
    """Small turns of each joint on its own; `spread` in degrees."""
    return {
        name: turn(LATERAL, random.normal(0.0, spread)) @ turn(ANTERIOR, random.normal(0.0, spread)) for name in names
    }


def curves(random: np.random.Generator, *, strong: bool = False) -> Turns:
    """How people differ: lumbar lordosis 60 +- 12, thoracic kyphosis 45 +- 10 degrees (Vialle et al. 2005), cervical
    lordosis; now and then a scoliosis; `strong`: a film taken because of one.
    """
    lordosis = random.normal(0.0, 11.0)
    kyphosis = random.normal(3.0, 12.0)
    parts = [
        bend(LUMBAR, back=lordosis, aside=random.normal(0.0, 3.0), twist=random.normal(0.0, 3.0)),
        bend(THORACIC, back=-kyphosis, aside=random.normal(0.0, 3.0), twist=random.normal(0.0, 3.0)),
        bend(CERVICAL, back=random.normal(0.0, 10.0), aside=random.normal(0.0, 4.0), twist=random.normal(0.0, 4.0)),
        wriggle(UPWARD, random),
    ]
    if strong or random.random() < 0.2:
        parts.append(scoliosis(random, random.uniform(12.0, 85.0) if strong else random.uniform(3.0, 20.0)))
    return together(*parts)


def seen_from(degrees: float, *, behind: bool = False) -> tuple[float, float, float]:
    """The beam for a patient turned by `degrees` from facing the tube, or from facing the detector."""
    angle = np.deg2rad(degrees + (180.0 if behind else 0.0))
    return (float(np.sin(angle)), float(-np.cos(angle)), 0.0)


def raised(beam: tuple[float, float, float], degrees: float) -> tuple[float, float, float]:
    """The beam turned by so many degrees towards the head."""
    across = np.hypot(beam[0], beam[1])
    angle = np.arctan2(beam[2], across) + np.deg2rad(degrees)
    scale = np.cos(angle) / max(across, 1e-9)
    return (float(beam[0] * scale), float(beam[1] * scale), float(np.sin(angle)))


def osteophytes(depth: Map, body: Body, camera: Camera, matter: Matter, random: np.random.Generator) -> None:
    """Spurs of compact bone at the corners of the vertebral bodies, as far as the subject is worn."""
    wear = body.subject.wear
    for name in UPWARD:
        if name not in body.where or random.random() > 1.5 * wear - 0.2:
            continue
        points = body.skeleton[name].mesh.vertices.astype(np.float64)
        front = points[points[:, 1] > points[:, 1].max() - 0.4 * np.ptp(points[:, 1])]
        corners = [
            front[(front @ np.array(way)).argmax()]
            for way in (
                (0.0, 1.0, 1.3),
                (0.0, 1.0, -1.3),
                (1.0, 0.0, 1.3),
                (1.0, 0.0, -1.3),
                (-1.0, 0.0, 1.3),
                (-1.0, 0.0, -1.3),
            )
        ]
        there = random.random(len(corners)) < 0.3 + 0.6 * wear
        size = wear * np.array([0.0045, 0.0045, 0.0026]) * random.uniform(0.5, 1.3, (len(corners), 1))
        weights = matter.compact * random.uniform(0.3, 0.8, len(corners)) * there
        solids(depth, body, camera, name, np.array(corners), size + 0.0004, weights)
