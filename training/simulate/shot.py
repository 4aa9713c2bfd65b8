"""One exposure as a radiographer sets it up: which bones, in which pose, seen from where, and how much around them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.simulate.body import Body
from training.simulate.camera import Camera
from training.simulate.matter import Matter
from training.simulate.pose import Pose, turn
from training.simulate.skeleton import Skeleton
from training.simulate.subject import Subject

Array = npt.NDArray[np.float64]
Map = npt.NDArray[np.float32]
Extra = Callable[[Map, Body, Camera, Matter, np.random.Generator], None]

MOST_NARROW = 2.4
"""Of a picture's longer side over the shorter one."""
AP, PA = (0.0, -1.0, 0.0), (0.0, 1.0, 0.0)
"""Directions of the central ray in the atlas: front to back, back to front."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What a view asks for.

    `show`: what must be on the picture: bone name -> the part of its length, from near (0) to far end (1). `bones`:
    regular expressions of all bones that may be in the way of the rays. `beam`: direction of the central ray (3,), and
    `up`: what is up in the picture (3,), both in the atlas's axes as the bone `frame` has turned them. `margin`: the
    side of the picture over the side of what it shows. `aspect`: its width over its height; None: the recipe decides
    between a square and the shape of what is shown. `jitter`: standard deviation
    of the centre as a share of the side. `tilt` and `roll`: standard deviations in degrees of beam and picture.
    `distance`: source to subject in m. `more`: what else adds optical depth to the picture (gas, organs, teeth), in
    place. `view`: for the manifest.
    """

    view: str
    show: Mapping[str, tuple[float, float]]
    bones: tuple[str, ...]
    beam: tuple[float, float, float] = AP
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    frame: str | None = None
    pose: Pose = field(default_factory=Pose)
    margin: tuple[float, float] = (1.05, 1.6)
    aspect: tuple[float, float] | None = None
    jitter: float = 0.04
    tilt: float = 6.0
    roll: float = 5.0
    distance: tuple[float, float] = (0.8, 1.8)
    more: tuple[Extra, ...] = ()


@dataclass(frozen=True, kw_only=True)
class View:
    """A way of showing a region: `weight` is its share against the region's other views; `draw` invents a shot for a
    subject (the skeleton tells which bones there are); `children`: factor of the recipe's share of children;
    `infants`: share of those who are in their first year and a half.
    """

    name: str
    weight: float
    draw: Callable[[Skeleton, Subject, np.random.Generator], Shot]
    children: float = 1.0
    infants: float = 0.04


def choose(views: tuple[View, ...], random: np.random.Generator) -> View:
    """One of the views, by weight."""
    weights = np.array([view.weight for view in views])
    return views[int(random.choice(len(views), p=weights / weights.sum()))]


def aim(
    shot: Shot,
    body: Body,
    random: np.random.Generator,
    *,
    size: int,
    pose_strength: float = 1.0,
    to_the_part: float = 0.75,
) -> Camera:
    """The camera that frames what the shot shows, tilted, turned and shifted at random.

    `size`: pixels of the longer side; `to_the_part`: share of the shots without a shape of their own that are about as
    narrow, or as low, as what they show.
    """
    points = np.concatenate([body.between(name, *part) for name, part in shot.show.items()])
    beam, up = np.array(shot.beam), np.array(shot.up)
    if shot.frame:
        beam, up = body.direction(shot.frame, beam), body.direction(shot.frame, up)
    beam = _tilted(beam / np.linalg.norm(beam), random, shot.tilt * pose_strength)
    roll = float(np.deg2rad(random.normal(0.0, shot.roll) * pose_strength))
    right = np.cross(beam, up)
    right /= np.linalg.norm(right)
    down = np.cross(beam, right)
    across = np.stack([points @ right, points @ down], axis=1)
    low, high = across.min(axis=0), across.max(axis=0)
    narrowed = _narrowed(high - low, random, to_the_part)
    aspect = narrowed if shot.aspect is None else random.uniform(*shot.aspect)
    width = float(np.max((high - low) * (1.0, aspect))) * random.uniform(*shot.margin)
    middle = (low + high) / 2 + width * np.array([1.0, 1.0 / aspect]) * random.normal(0.0, shot.jitter, 2)
    depth = points @ beam
    target = middle[0] * right + middle[1] * down + depth.mean() * beam
    # The detector lies behind the body: a little behind the last of what is shown.
    behind = float(depth.max() - depth.mean()) + random.uniform(0.01, 0.08)
    return Camera.looking(
        target,
        beam,
        up,
        source_distance=float(random.uniform(*shot.distance)),
        target_to_detector=behind,
        field=width,
        size=(round(size / max(1.0, aspect)), round(size * min(1.0, aspect))),
        roll=roll,
    )


def _narrowed(extent: Array, random: np.random.Generator, share: float) -> float:
    """Width over height of a picture: between square and the shape of what is shown, `extent` (2,) across and down.

    Were all limbs square, being narrow would tell a spine.
    """
    like_the_part = float(random.random()) * (random.random() < share)
    shape = (extent[0] / extent[1]) ** like_the_part * np.exp(random.normal(0.0, 0.12) * (like_the_part > 0.0))
    return float(np.clip(shape, 1.0 / MOST_NARROW, MOST_NARROW))


def _tilted(beam: Array, random: np.random.Generator, spread: float) -> Array:
    axis = random.normal(size=3)
    return turn(axis, float(random.normal(0.0, spread))) @ beam
