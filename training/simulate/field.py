"""The exposed field: what the collimator lets through, and what a workstation does with the rest of the picture."""

from dataclasses import dataclass

import cv2
import numpy as np

from training.simulate.noise import Map, white
from training.simulate.recipe import SurroundingsRecipe

SHIFT = 4
"""Bits behind the point in the corners that OpenCV draws."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """`open` (H, W) in [0, 1]: the share of the beam that arrives; `box` (top, bottom, left, right) holds the field."""

    open: Map
    box: tuple[int, int, int, int]


def draw_field(shape: tuple[int, int], random: np.random.Generator, recipe: SurroundingsRecipe) -> Field | None:
    """A rectangle, mostly a little turned, sometimes a polygon or a disc; None where the whole picture is exposed."""
    if random.random() >= recipe.collimated:
        return None
    height, width = shape
    kind = random.random()
    if kind < 0.05:
        corners = _ring(random, number=48, reach=(0.98, 1.12))
    elif kind < 0.1:
        corners = _ring(random, number=8, reach=(1.0, 1.15))
    else:
        corners = _rectangle(random, turned=kind < 0.45)
    mask = np.zeros(shape, np.uint8)
    points = (corners + 0.5) * (width, height) * (1 << SHIFT)
    cv2.fillConvexPoly(mask, np.round(points).astype(np.int32), 255, lineType=cv2.LINE_AA, shift=SHIFT)
    left, top, across, down = cv2.boundingRect(np.asarray(mask > 127, np.uint8))
    soft = np.asarray(mask, np.float32) / np.float32(255.0)
    if random.random() < 0.6:
        # The penumbra of the collimator's edge, which is nearer to the source than the patient.
        soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), random.uniform(0.4, 2.5)), np.float32)
    return Field(open=soft, box=(top, top + down, left, left + across))


def shutter(picture: Map, field: Field, random: np.random.Generator) -> Map:
    """The picture with black, or seldom grey or white, painted over what lies outside of the field."""
    kind = random.random()
    colour = 0.0 if kind < 0.75 else 1.0 if kind < 0.9 else random.uniform(0.05, 0.8)
    share = np.clip(field.open * np.float32(1.0 if random.random() < 0.5 else 4.0), 0.0, 1.0)
    outside = np.full_like(picture, np.float32(colour))
    if random.random() < 0.2:
        outside += np.float32(0.02) * white((picture.shape[0], picture.shape[1]), random)
    return np.asarray(picture * share + outside * (np.float32(1.0) - share), np.float32)


def crop(picture: Map, field: Field, random: np.random.Generator) -> Map:
    """The picture down to the field's box and, half of the time, a margin around it."""
    margin = int(random.uniform(0.0, 0.08) * max(picture.shape)) if random.random() < 0.5 else 0
    top, bottom, left, right = field.box
    return picture[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]


def _rectangle(random: np.random.Generator, *, turned: bool) -> Map:
    """Corners (4, 2) in shares of the picture around its centre; at most a third of either side is cut off."""
    left, top = (-0.5 + 0.17 * random.random() ** 2 for _ in range(2))
    right, bottom = (0.5 - 0.17 * random.random() ** 2 for _ in range(2))
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    angle = np.radians(random.uniform(-9.0, 9.0)) if turned else 0.0
    if random.random() < 0.1:
        corners[random.integers(4)] *= random.uniform(0.8, 0.95)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    return np.asarray(corners @ turn, np.float32)


def _ring(random: np.random.Generator, number: int, reach: tuple[float, float]) -> Map:
    angles = np.linspace(0.0, 2.0 * np.pi, number, endpoint=False) + np.pi / number
    radius = 0.5 * random.uniform(*reach)
    return np.asarray(np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius, np.float32)
