"""Pictures that are no radiograph of a body's region: slices, teeth, phantoms, pages, textures, nothing at all.

Each function draws what takes the place of an optical depth: (size, size) float32, not negative, about 0 to 5.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from training.simulate.camera import Camera
from training.simulate.noise import of_all_scales, white
from training.simulate.scene import Scene

Map = npt.NDArray[np.float32]
Draw = Callable[[np.random.Generator, int], Map]
Points = list[tuple[float, float]]


def _ellipse(
    image: Map, centre: tuple[float, float], axes: tuple[float, float], angle: float, value: float, line: int = -1
) -> None:
    """Centre and half axes as shares of the picture."""
    size = image.shape[0]
    cv2.ellipse(
        image,
        (round(centre[0] * size), round(centre[1] * size)),
        (max(1, round(abs(axes[0]) * size)), max(1, round(abs(axes[1]) * size))),
        angle,
        0,
        360,
        float(value),
        line,
        cv2.LINE_AA,
    )


def body_slice(random: np.random.Generator, size: int) -> Map:
    """An axial slice as of computed or magnetic resonance tomography: chest, abdomen or head."""
    image = np.zeros((size, size), np.float32)
    kind = int(random.integers(3))
    wide, deep = ((0.44, 0.32), (0.42, 0.3), (0.33, 0.4))[kind]
    wide, deep = wide * random.uniform(0.8, 1.08), deep * random.uniform(0.85, 1.1)
    tissue, fat, bone = random.uniform(1.4, 2.4), random.uniform(0.7, 3.2), random.choice([0.3, 4.5], p=[0.35, 0.65])
    _ellipse(image, (0.5, 0.5), (wide, deep), 0.0, fat)
    rim = random.uniform(0.88, 0.96)
    _ellipse(image, (0.5, 0.5), (wide * rim, deep * rim), 0.0, tissue)
    if kind == 2:
        _ellipse(image, (0.5, 0.5), (wide * rim, deep * rim), 0.0, bone, max(2, size // 30))
        for side in (-1, 1):
            _ellipse(image, (0.5 + side * 0.05, 0.47), (0.025, 0.1), side * 15.0, random.uniform(0.4, 1.2))
        for _ in range(30):
            place = random.uniform(-0.6, 0.6, 2) * (wide, deep) + 0.5
            _ellipse(image, tuple(place), (0.02, 0.05), random.uniform(0, 180), tissue * random.uniform(0.9, 1.1), 1)
        return image
    if kind == 0:
        for side in (-1, 1):
            _ellipse(image, (0.5 + side * 0.47 * wide, 0.49), (0.36 * wide, 0.72 * deep), side * 8.0, 0.15)
        _ellipse(image, (0.53, 0.47), (0.12, 0.11), 30.0, tissue * 1.1)
        for _ in range(30):
            _ellipse(image, tuple(random.uniform(-0.7, 0.7, 2) * (wide, deep) + 0.5), (0.006, 0.006), 0.0, tissue)
    else:
        _ellipse(image, (0.5 - 0.4 * wide, 0.47), (0.5 * wide, 0.6 * deep), 10.0, tissue * 1.15)
        for _ in range(12):
            place = random.uniform(-0.55, 0.6, 2) * (wide, deep) + 0.5
            value = float(random.choice([0.1, 0.8, 1.2])) * tissue
            _ellipse(image, tuple(place), tuple(random.uniform(0.015, 0.06, 2)), random.uniform(0, 180), value)
    for angle in np.linspace(0, 2 * np.pi, 18):
        edge = (float(0.5 + 0.88 * wide * np.cos(angle)), float(0.5 + 0.88 * deep * np.sin(angle)))
        _ellipse(image, edge, (0.022, 0.009), float(np.degrees(angle)) + 90, bone)
    _ellipse(image, (0.5, 0.5 + 0.62 * deep), (0.055, 0.045), 0.0, bone)
    _ellipse(image, (0.5, 0.5 + 0.8 * deep), (0.018, 0.016), 0.0, tissue)
    _ellipse(image, (0.5, 0.5 + 0.92 * deep), (0.012, 0.03), 0.0, bone)
    return image


def _tooth(image: Map, x: float, y: float, wide: float, high: float, up: float, random: np.random.Generator) -> None:
    """A tooth whose chewing surface lies at (x, y), and its roots `up` (-1) or down (1), in pixels."""
    dentine, enamel = random.uniform(2.6, 3.2), random.uniform(4.0, 4.8)
    crown = [(-0.5, 0.0), (0.5, 0.0), (0.48, 0.3), (0.36, 0.42), (-0.36, 0.42), (-0.48, 0.3)]
    outline = [
        (-0.4, 0.0),
        (0.4, 0.0),
        (0.42, 0.4),
        (0.28, 1.0),
        (0.08, 0.95),
        (0.0, 0.6),
        (-0.1, 0.96),
        (-0.3, 1.0),
        (-0.42, 0.4),
    ]
    for points, value in (
        (outline, dentine),
        (crown, enamel),
        ([(a * 0.7, 0.12 + b * 0.8) for a, b in crown], dentine),
    ):
        corners = np.array([(x + a * wide, y + up * b * high) for a, b in points])
        cv2.fillPoly(image, [np.round(corners * 16).astype(np.int32)], float(value), cv2.LINE_AA, 4)
    cv2.line(
        image,
        (round(x), round(y + up * 0.3 * high)),
        (round(x), round(y + up * 0.85 * high)),
        2.0,
        max(1, round(0.12 * wide)),
    )
    if random.random() < 0.25:
        cv2.circle(image, (round(x), round(y + up * 0.1 * high)), max(1, round(0.25 * wide)), 6.0, -1)


def dental(random: np.random.Generator, size: int) -> Map:
    """Bitewing, periapical or panoramic picture of rows of teeth."""
    image = np.full((size, size), random.uniform(0.4, 1.2), np.float32)
    kind = random.random()
    panorama = kind > 0.55
    number = 14 if panorama else int(random.integers(3, 7))
    wide = size * (0.75 if panorama else 1.0) / number
    high = wide * random.uniform(1.8, 2.6)
    middle = size * random.uniform(0.42, 0.58)
    if panorama:
        points = [
            (0.08, 0.15),
            (0.16, 0.2),
            (0.14, 0.5),
            (0.25, 0.72),
            (0.5, 0.78),
            (0.75, 0.72),
            (0.86, 0.5),
            (0.84, 0.2),
            (0.92, 0.15),
            (0.94, 0.6),
            (0.8, 0.86),
            (0.5, 0.93),
            (0.2, 0.86),
            (0.06, 0.6),
        ]
        cv2.fillPoly(image, [np.round(np.array(points) * size).astype(np.int32)], 2.6, cv2.LINE_AA)
    rows = (-1.0, 1.0) if kind < 0.3 or panorama else (float(random.choice([-1.0, 1.0])),)
    for up in rows:
        cv2.rectangle(
            image,
            (round(size * (0.14 if panorama else 0)), round(middle + up * high * 0.5)),
            (round(size * (0.86 if panorama else 1)), round(middle + up * high * 1.3)),
            float(random.uniform(1.7, 2.2)),
            -1,
        )
    bow = random.uniform(0.0, 0.12) * size
    for up in rows:
        for k in range(number):
            x = size * (0.125 if panorama else 0.0) + (k + 0.5) * wide + random.normal(0, 0.03) * wide
            y = middle + up * 1.5 + bow * (1 - (2 * x / size - 1) ** 2)
            if random.random() > 0.07:
                _tooth(image, x, y, wide * random.uniform(0.85, 1.0), high * random.uniform(0.9, 1.1), up, random)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.006 * size), np.float32)


def phantom(random: np.random.Generator, size: int) -> Map:
    """Steps, bars, grids, discs and holes of quality assurance."""
    image = np.full((size, size), random.uniform(0.2, 2.0), np.float32)
    if random.random() < 0.5:
        image += np.float32(random.uniform(0.1, 0.3)) * np.arange(size, dtype=np.float32)[:, None] // (size // 9)
    for _ in range(int(random.integers(1, 7))):
        kind, (x, y) = int(random.integers(4)), random.uniform(0.1, 0.9, 2)
        value, reach = float(random.uniform(0.0, 4.0)), float(random.uniform(0.03, 0.25))
        if kind == 0:
            _ellipse(image, (x, y), (reach, reach), 0.0, value, -1 if random.random() < 0.6 else 2)
        elif kind == 1:
            corner = (round((x + reach) * size), round((y + reach * random.uniform(0.1, 1)) * size))
            cv2.rectangle(image, (round(x * size), round(y * size)), corner, value, -1)
        else:
            step = int(random.integers(3, 18))
            left, top, right = (round(each * size) for each in (x - reach, y - reach, x + reach))
            for line in range(max(0, left), min(size, right), step):
                cv2.line(
                    image, (line, max(0, top)), (line, max(0, round((y + reach) * size))), value, max(1, step // 3)
                )
                if kind == 3:
                    row = top + line - left
                    cv2.line(image, (left, row), (right, row), value, max(1, step // 3))
    return image


def page(random: np.random.Generator, size: int) -> Map:
    """Lines of print, sometimes a frame, tables or a diagram."""
    paper, ink = (0.3, 3.0) if random.random() < 0.5 else (3.0, 0.3)
    written = np.zeros((size, size), np.uint8)
    height = random.uniform(0.25, 0.9)
    y = 0.06 * size
    while y < 0.95 * size:
        word = "".join(random.choice(list("abcdefghiklmnoprstuvwxyzABEHR 0123456789 .,:"), int(random.integers(4, 60))))
        start = (round(random.uniform(0.02, 0.12) * size), round(y))
        cv2.putText(written, word, start, int(random.integers(0, 4)), height, 255, 1, cv2.LINE_AA)
        y += height * random.uniform(18, 40)
    return np.asarray(paper + (ink - paper) * (written / 255.0), np.float32)


def texture(random: np.random.Generator, size: int) -> Map:
    """Noise of some roughness, ramps, or both."""
    image = of_all_scales((size, size), random, slope=random.uniform(0.0, 2.5)) * np.float32(random.uniform(0.05, 1.0))
    angle = random.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0:size, 0:size] / size - 0.5
    ramp = random.choice([0.0, 1.0, 3.0]) * (np.cos(angle) * rows + np.sin(angle) * columns)
    return np.asarray(np.maximum(image + ramp + 2.0, 0.0), np.float32)


def blank(random: np.random.Generator, size: int) -> Map:
    """Nothing in the field, or a plate of even thickness, perhaps with an edge."""
    image = np.full((size, size), random.uniform(0.0, 3.0), np.float32)
    if random.random() < 0.5:
        image[: int(random.uniform(0, 1) * size)] += np.float32(random.uniform(0.0, 2.0))
    return image + np.float32(0.01) * white((size, size), random) ** 2


def shapes(random: np.random.Generator, size: int) -> Map:
    """Overlapping rods, balls and plates in soft matter: objects, not anatomy."""
    image = np.zeros((size, size), np.float32)
    for _ in range(int(random.integers(3, 25))):
        layer = np.zeros_like(image)
        place, reach = tuple(random.uniform(0, 1, 2)), tuple(random.uniform(0.02, 0.4, 2) * random.uniform(0.2, 1.0))
        _ellipse(
            layer, place, reach, random.uniform(0, 180), random.uniform(0.2, 2.0), -1 if random.random() < 0.7 else 2
        )
        image += cv2.GaussianBlur(layer, (0, 0), random.uniform(0.3, 0.03 * size))
    return image


PICTURES: Mapping[str, tuple[float, Draw]] = {
    "ood:slice": (1.6, body_slice),
    "ood:dental": (1.2, dental),
    "ood:phantom": (0.6, phantom),
    "ood:page": (0.4, page),
    "ood:texture": (0.6, texture),
    "ood:blank": (0.3, blank),
    "ood:shapes": (0.7, shapes),
}
"""Kind -> how often it is drawn for `ood`, and what draws it."""


def stranger(kind: str, random: np.random.Generator, size: int) -> Scene:
    """A scene of `kind`, one of PICTURES; what it tells of age, sex and camera means nothing."""
    _, draw = PICTURES[kind]
    return Scene(
        depth=draw(random, size),
        camera=Camera.looking((0.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0), size=size),
        region=kind,
        view=kind.removeprefix("ood:"),
        age=40.0,
        female=False,
        tissue=20.0,
    )
