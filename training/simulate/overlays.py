"""What is drawn or laid upon a picture: arrows, rulers, planning gauges, grid lines, the table's edge."""

import cv2
import numpy as np

from training.simulate.noise import Map, broad

SHIFT = 3


def arrows(picture: Map, random: np.random.Generator) -> None:
    """One to three arrows, white or black, as textbooks and reports have them; in place."""
    rows, columns = picture.shape
    colour = 1.0 if random.random() < 0.8 else 0.0
    for _ in range(random.integers(1, 4)):
        angle, length = random.uniform(0.0, 2.0 * np.pi), max(rows, columns) * random.uniform(0.06, 0.2)
        tip = np.array([random.uniform(0.2, 0.8) * columns, random.uniform(0.2, 0.8) * rows])
        tail = tip + length * np.array([np.cos(angle), np.sin(angle)])
        cv2.arrowedLine(picture, _dot(tail), _dot(tip), colour, int(random.integers(1, 3)), cv2.LINE_8, 0, 0.4)


def ruler(picture: Map, random: np.random.Generator) -> None:
    """A scale: ticks along an edge, every fifth longer; in place."""
    rows, columns = picture.shape
    upright, first = random.random() < 0.7, random.random() < 0.5
    along, across = (rows, columns) if upright else (columns, rows)
    step, tick = max(3.0, along * random.uniform(0.02, 0.06)), max(2.0, across * random.uniform(0.015, 0.04))
    base = across * random.uniform(0.02, 0.12)
    base = base if first else across - 1 - base
    start, stop = along * random.uniform(0.0, 0.3), along * random.uniform(0.6, 1.0)
    colour = random.uniform(0.6, 1.0)
    for number, at in enumerate(np.arange(start, stop, step)):
        reach = tick * (2.0 if number % 5 == 0 else 1.0) * (1.0 if first else -1.0)
        ends = np.array([(base, at), (base + reach, at)])
        _line(picture, ends if upright else ends[:, ::-1], colour)
    if random.random() < 0.5:
        ends = np.array([(base, start), (base, stop)])
        _line(picture, ends if upright else ends[:, ::-1], colour)


def gauges(picture: Map, random: np.random.Generator, pixel: float) -> None:
    """Planning gauges: one to three rings, discs or balls of 25 or 30 mm, mostly away from the centre; in place.

    `pixel` is the side of a pixel in m in the plane of the bone.
    """
    rows, columns = picture.shape
    y, x = np.ogrid[0:rows, 0:columns]
    for _ in range(random.integers(1, 4) if random.random() < 0.3 else 1):
        radius = float(np.clip(random.choice([0.0125, 0.015]) / pixel, 3.0, 0.12 * max(rows, columns)))
        away = random.uniform(0.25, 0.48, 2) * random.choice([-1.0, 1.0], 2)
        centre = (0.5 + away) * (columns, rows)
        distance = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2).astype(np.float32) / np.float32(radius)
        kind, bright = random.integers(3), np.float32(random.uniform(0.75, 1.0))
        if kind == 0:
            shape = np.sqrt(np.clip(1.0 - distance**2, 0.0, 1.0)) ** np.float32(0.4)
        else:
            shape = np.clip((1.0 - distance) * np.float32(radius), 0.0, 1.0)
        if kind == 2:
            shape *= np.clip((distance - np.float32(0.75)) * np.float32(radius), 0.0, 1.0)
        np.maximum(picture, shape * bright, out=picture)


def grid_lines(picture: Map, random: np.random.Generator) -> None:
    """A measuring grid over the picture, or the shadow of a resting anti-scatter grid; in place."""
    rows, columns = picture.shape
    strength = np.float32(random.uniform(-0.15, 0.25))
    if random.random() < 0.5:
        period, phase = random.uniform(2.3, 5.0), random.uniform(0.0, 6.0)
        wave = np.sin(np.arange(columns) * (2.0 * np.pi / period) + phase).astype(np.float32)
        picture += np.float32(0.3) * strength * wave[None, :]
    else:
        step = int(random.integers(max(6, columns // 12), max(8, columns // 4)))
        picture[:: min(step, rows - 1)] += strength
        picture[:, ::step] += strength


def supports(shape: tuple[int, int], random: np.random.Generator) -> Map:
    """Optical depth (H, W) of what the patient lies on: a table's or cassette's edge, foam, a sandbag."""
    rows, columns = shape
    angle, place = random.uniform(-0.1, 0.1), random.uniform(0.03, 0.25)
    y, x = np.ogrid[0:rows, 0:columns]
    if random.random() < 0.5:
        level = (x / columns + angle * y / rows).astype(np.float32)
    else:
        level = (y / rows + angle * x / columns).astype(np.float32)
    level = level if random.random() < 0.5 else np.float32(1.0) - level
    distance = (np.float32(place) - level) * np.float32(max(shape))
    depth = np.clip(distance, 0.0, 1.0) * np.float32(random.uniform(0.1, 1.2))
    kind = random.random()
    if kind < 0.35:
        depth *= np.clip(1.0 + np.float32(0.5) * broad(shape, random, cells=20), 0.2, 2.0)
    elif kind < 0.7:
        # A table's lip: a dense line and little behind it.
        depth *= np.float32(0.3) + np.float32(2.0) * (distance < random.uniform(1.5, 5.0))
    return np.asarray(depth, np.float32)


def _line(picture: Map, ends: np.ndarray[tuple[int, int], np.dtype[np.float64]], colour: float) -> None:
    cv2.line(picture, _dot(ends[0]), _dot(ends[1]), colour, 1)


def _dot(point: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
