"""The picture as a thing: a film on a scanner, a photograph of it, a frame, two views on one sheet."""

import cv2
import numpy as np

from training.simulate.noise import Map, broad, white


def border(picture: Map, random: np.random.Generator) -> Map:
    """The picture with a frame of one grey around it, of another width on each side."""
    widths = [int(max(picture.shape) * random.uniform(0.0, 0.09)) for _ in range(4)]
    kind = random.random()
    grey = 1.0 if kind < 0.5 else 0.0 if kind < 0.8 else random.random()
    if random.random() < 0.5:
        widths = [widths[0]] * 4
    above, below, left, right = widths
    framed = cv2.copyMakeBorder(picture, above, below, left, right, cv2.BORDER_CONSTANT, value=grey)
    return np.asarray(framed, np.float32)


def film_edge(picture: Map, random: np.random.Generator) -> Map:
    """The film on the scanner: a little turned, its corners rounded or clipped, light or dark around it."""
    rows, columns = picture.shape
    cut = max(rows, columns) * random.uniform(0.0, 0.08)
    sheet = _sheet((rows, columns), cut, clipped=random.random() < 0.5)
    scale, angle = random.uniform(0.9, 1.0), random.normal(0.0, 2.0)
    turn = np.asarray(cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle, scale), np.float64)
    turn[:, 2] += random.uniform(-0.02, 0.02, 2) * (columns, rows)
    light = random.uniform(0.8, 1.0) if random.random() < 0.6 else random.uniform(0.0, 0.15)
    moved = cv2.warpAffine(picture, turn, (columns, rows), flags=cv2.INTER_LINEAR)
    share = np.asarray(cv2.warpAffine(sheet, turn, (columns, rows), flags=cv2.INTER_LINEAR), np.float32)
    return np.asarray(moved * share + np.float32(light) * (np.float32(1.0) - share), np.float32)


def photographed(picture: Map, random: np.random.Generator) -> Map:
    """A film or a screen taken by a phone: perspective, uneven light, a reflection, softness, grain."""
    rows, columns = picture.shape
    corners = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
    moved = corners + random.uniform(-0.05, 0.05, (4, 2)).astype(np.float32) * (columns, rows)
    view = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    room = random.uniform(0.0, 1.0)
    seen = cv2.warpPerspective(picture, view, (columns, rows), flags=cv2.INTER_LINEAR, borderValue=room)
    light = 1.0 + np.float32(random.uniform(0.05, 0.2)) * broad((rows, columns), random, cells=2)
    dark = np.float32(random.uniform(0.0, 0.15))
    y, x = np.ogrid[0:rows, 0:columns]
    centre, reach = random.uniform(0.0, 1.0, 2) * (columns, rows), max(rows, columns) * random.uniform(0.1, 0.3)
    glare = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / reach**2).astype(np.float32)
    soft = cv2.GaussianBlur(np.asarray(seen, np.float32), (0, 0), random.uniform(0.3, 0.9))
    made = dark + (1.0 - dark) * soft * light + np.float32(random.uniform(0.0, 0.3)) * glare
    return np.asarray(made + np.float32(0.015) * white((rows, columns), random), np.float32)


def two_views(one: Map, other: Map, random: np.random.Generator) -> tuple[Map, float]:
    """Two pictures on one sheet, side by side or one above the other, with a gap; the longest side stays.

    Returns the sheet (H, W), and how many times larger `one` is on it than it was.
    """
    side = max(*one.shape, *other.shape)
    beside = random.random() < 0.8
    gap = int(side * random.uniform(0.0, 0.06))
    grey = 0.0 if random.random() < 0.8 else 1.0
    upright = [each if beside else each.T for each in (one, other)]
    # Either the same height, or both as they came, centred.
    height = max(each.shape[0] for each in upright)
    enlarged = 1.0
    if random.random() < 0.6:
        enlarged = height / upright[0].shape[0]
        upright = [_to_height(each, height) for each in upright]
    upright = [_padded(each, height, grey) for each in upright]
    sheet = np.hstack([upright[0], np.full((height, gap), grey, np.float32), upright[1]])
    sheet = sheet if beside else sheet.T
    scale = side / max(sheet.shape)
    size = (max(1, round(sheet.shape[1] * scale)), max(1, round(sheet.shape[0] * scale)))
    fitted = cv2.resize(np.ascontiguousarray(sheet), size, interpolation=cv2.INTER_AREA)
    # Averaging white may round to a little above 1.
    return np.asarray(np.clip(fitted, 0.0, 1.0), np.float32), float(enlarged * scale)


def _sheet(shape: tuple[int, int], cut: float, *, clipped: bool) -> Map:
    """1 on the sheet, 0 where its corners are off: (H, W)."""
    rows, columns = shape
    y, x = np.ogrid[0:rows, 0:columns]
    near_x = np.minimum(x, columns - 1 - x).astype(np.float32)
    near_y = np.minimum(y, rows - 1 - y).astype(np.float32)
    if clipped:
        return np.asarray(np.clip(near_x + near_y - np.float32(cut) + 1.0, 0.0, 1.0), np.float32)
    off_x, off_y = np.maximum(np.float32(cut) - near_x, 0.0), np.maximum(np.float32(cut) - near_y, 0.0)
    return np.asarray(np.clip(np.float32(cut) + 1.0 - np.sqrt(off_x**2 + off_y**2), 0.0, 1.0), np.float32)


def _to_height(picture: Map, height: int) -> Map:
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (width, height)), np.float32)


def _padded(picture: Map, height: int, grey: float) -> Map:
    above = (height - picture.shape[0]) // 2
    return np.pad(picture, ((above, height - picture.shape[0] - above), (0, 0)), constant_values=grey)
