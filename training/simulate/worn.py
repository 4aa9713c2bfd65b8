"""What patients wear or what is stuck to them, as optical depth in the detector's plane: (H, W), in place."""

import cv2
import numpy as np
import numpy.typing as npt

from training.simulate.noise import Map, of_all_scales, white

Points = npt.NDArray[np.float64]


def cast(depth: Map, random: np.random.Generator, pixel: float) -> None:
    """Plaster or fibreglass around the body's outline, 3 to 12 mm thick, in layers; sometimes ending in the picture.

    Through the limb a ray meets the shell twice; at its rim it runs along it. Plaster attenuates some 60 to 120/m. A
    splint has one side only.
    """
    body = np.asarray(depth > 0.15, np.uint8)
    thick = random.uniform(0.003, 0.012) / pixel
    gap = random.uniform(0.001, 0.004) / pixel
    away = np.minimum(cv2.distanceTransform(np.asarray(1 - body, np.uint8), cv2.DIST_L2, 3), max(depth.shape))
    # A body that fills the picture has no outline in it: its distance is without limit then.
    within = np.minimum(cv2.distanceTransform(body, cv2.DIST_L2, 3), max(depth.shape) / 2)
    inner = np.asarray(within + gap - away, np.float32)  # distance from the shell's inner face, inwards
    reach = max(float(within.max()) + gap, 2.0)
    # A tube of outer radius R + t and inner radius R, seen at a distance x from its axis.
    x = np.abs(np.float32(reach) - np.clip(inner, -thick, reach))
    outer = np.sqrt(np.clip((reach + thick) ** 2 - x**2, 0.0, None))
    chord = outer - np.sqrt(np.clip(reach**2 - x**2, 0.0, None))
    layers = 1.0 + np.float32(random.uniform(0.05, 0.3)) * of_all_scales(_shape(depth), random, slope=0.3)
    share = np.float32(pixel * random.uniform(40.0, 120.0) * random.choice([1.0, 2.0]))
    added = np.where(inner > -thick, chord * np.clip(layers, 0.3, 2.0) * share, np.float32(0.0))
    depth += np.minimum(added, np.float32(1.5)) * _part(_shape(depth), random)


def buttons(depth: Map, random: np.random.Generator, pixel: float) -> None:
    """A row of buttons or hooks."""
    start, step = _somewhere(depth, random), random.uniform(0.02, 0.08) / pixel
    way = random.uniform(0, 2 * np.pi)
    radius = max(1, round(random.uniform(0.004, 0.009) / pixel))
    mask = np.zeros_like(depth)
    for number in range(random.integers(1, 6)):
        place = start + number * step * np.array([np.cos(way), np.sin(way)])
        cv2.circle(mask, _dot(place), radius, random.uniform(0.3, 3.0), -1 if random.random() < 0.5 else 1)
    depth += mask


def zip_fastener(depth: Map, random: np.random.Generator, pixel: float) -> None:
    """Two rows of teeth."""
    start, way = _somewhere(depth, random), random.uniform(0, 2 * np.pi)
    along, across = np.array([np.cos(way), np.sin(way)]), np.array([-np.sin(way), np.cos(way)])
    step, length = max(2.0, 0.003 / pixel), random.uniform(0.05, 0.2) / pixel
    mask = np.zeros_like(depth)
    for number, at in enumerate(np.arange(0, length, step)):
        place = start + at * along + across * (1 if number % 2 else -1)
        cv2.circle(mask, _dot(place), 0, random.uniform(1.0, 4.0), -1)
    depth += mask


def cords(depth: Map, random: np.random.Generator, pixel: float) -> None:
    """Leads with electrodes, tubes, a necklace: one to three smooth curves across the picture."""
    side = max(depth.shape)
    strength, electrodes = random.uniform(0.1, 2.0), random.random() < 0.5
    for _ in range(random.integers(1, 4)):
        knots = np.cumsum(random.normal(0, 0.25, (4, 2)), axis=0) * side + _somewhere(depth, random)
        t = np.linspace(0, 1, 30)[:, None]
        curve = (1 - t) ** 3 * knots[0] + 3 * (1 - t) ** 2 * t * knots[1] + 3 * (1 - t) * t**2 * knots[2]
        curve += t**3 * knots[3]
        mask = np.zeros_like(depth)
        width = max(1, round(random.uniform(0.001, 0.004) / pixel))
        cv2.polylines(mask, [np.round(curve).astype(np.int32)], False, strength, width)
        if electrodes:
            cv2.circle(mask, _dot(curve[0]), max(1, round(0.007 / pixel)), 2.0 * strength, -1)
        depth += mask


def staples(depth: Map, random: np.random.Generator, pixel: float) -> None:
    """Skin staples along a cut: short strokes across a line."""
    start, way = _somewhere(depth, random), random.uniform(0, 2 * np.pi)
    along, across = np.array([np.cos(way), np.sin(way)]), np.array([-np.sin(way), np.cos(way)])
    mask, half = np.zeros_like(depth), max(1.0, 0.003 / pixel)
    for number in range(random.integers(5, 20)):
        middle = start + along * number * 0.007 / pixel + random.normal(0, 0.3, 2)
        cv2.line(mask, _dot(middle - half * across), _dot(middle + half * across), random.uniform(1.5, 3.0), 1)
    depth += mask


def strap(depth: Map, random: np.random.Generator, pixel: float) -> None:
    """A bandage, a belt or a fold of cloth: a band of woven texture across the picture."""
    mask = np.zeros_like(depth)
    start, way = _somewhere(depth, random), random.uniform(0, 2 * np.pi)
    reach = 2 * max(depth.shape) * np.array([np.cos(way), np.sin(way)])
    width = max(2, round(random.uniform(0.015, 0.05) / pixel))
    cv2.line(mask, _dot(start - reach), _dot(start + reach), random.uniform(0.03, 0.25), width)
    depth += mask * np.clip(1.0 + np.float32(0.3) * white(_shape(depth), random), 0.0, 2.0)


def _part(shape: tuple[int, int], random: np.random.Generator) -> Map:
    """1 where a cast reaches: all of the picture, or one side of a slanted line."""
    if random.random() < 0.5:
        return np.ones(shape, np.float32)
    y, x = np.ogrid[0 : shape[0], 0 : shape[1]]
    way, at = random.uniform(0, 2 * np.pi), random.uniform(-0.25, 0.15) * max(shape)
    level = np.cos(way) * (x - shape[1] / 2) + np.sin(way) * (y - shape[0] / 2) - at
    return np.asarray(np.clip(level, 0.0, 1.0), np.float32)


def _somewhere(depth: Map, random: np.random.Generator) -> Points:
    return np.asarray(random.uniform(0.1, 0.9, 2) * (depth.shape[1], depth.shape[0]))


def _dot(point: Points) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _shape(depth: Map) -> tuple[int, int]:
    return depth.shape[0], depth.shape[1]
