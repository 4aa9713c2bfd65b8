"""Letters on the picture: side markers, words, rows of text and label boxes."""

import cv2
import numpy as np

from training.simulate.noise import Map

SIDES = ("R", "L", "D", "E", "G", "RE", "LI", "DX", "SIN", "H", "V")
WORDS = (
    "STANDING",
    "WEIGHT BEARING",
    "PORTABLE",
    "ERECT",
    "SUPINE",
    "AP",
    "PA",
    "LAT",
    "OBL",
    "UPRIGHT",
    "X-TABLE",
    "FLEX",
    "EXT",
    "STEHEND",
    "DEBOUT",
    "INT ROT",
    "EXT ROT",
    "MOBILE",
    "TRAUMA",
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FACES = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_COMPLEX,
)
DRAWN = 28
"""Height of a capital letter in pixels, about, as it is drawn before it is made small."""
CAPITAL = 21
"""The same at OpenCV's scale 1: Hershey's capitals have 21 units."""


def lettering(text: str, random: np.random.Generator, *, boxed: bool = False) -> Map:
    """`text` as coverage (h, w) in [0, 1]; capitals are about DRAWN pixels high. A box leaves the letters out."""
    face, thick = FACES[random.integers(len(FACES))], int(random.integers(2, 6))
    scale = DRAWN / CAPITAL
    (width, height), below = cv2.getTextSize(text, face, scale, thick)
    margin = 8
    canvas = np.zeros((height + below + 2 * margin, width + 2 * margin), np.uint8)
    cv2.putText(canvas, text, (margin, margin + height), face, scale, 255, thick, cv2.LINE_AA)
    coverage = np.asarray(canvas, np.float32) / np.float32(255.0)
    return np.float32(1.0) - coverage if boxed else coverage


def paste(picture: Map, glyph: Map, place: tuple[float, float], height: float, angle: float, grey: float) -> None:
    """Blend `glyph` (h, w) coverage into `picture`, in place: `grey` where it covers.

    `place` is the centre (x, y) and `height` the glyph's height, in pixels; `angle` in degrees, a negative height
    shows it mirrored.
    """
    factor = abs(height) / glyph.shape[0]
    columns, rows = max(1, round(glyph.shape[1] * factor)), max(1, round(glyph.shape[0] * factor))
    small = cv2.resize(glyph, (columns, rows), interpolation=cv2.INTER_AREA)
    turn = np.asarray(cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle, 1.0), np.float64)
    if height < 0:
        turn = turn @ np.array([[-1.0, 0.0, columns - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    turn[:, 2] += np.array(place) - ((columns - 1) / 2, (rows - 1) / 2)
    size = (picture.shape[1], picture.shape[0])
    coverage = np.asarray(cv2.warpAffine(small, turn, size, flags=cv2.INTER_LINEAR), np.float32)
    picture += coverage * (np.float32(grey) - picture)


def side_marker(picture: Map, random: np.random.Generator) -> None:
    """A lead letter, sometimes with initials below, sometimes in a frame, near an edge; in place."""
    side = max(picture.shape)
    x, y = _near_an_edge(picture, random)
    height = side * random.uniform(0.035, 0.11)
    angle = random.normal(0.0, 8.0) if random.random() < 0.8 else random.uniform(-180.0, 180.0)
    bright = random.uniform(0.75, 1.0) if random.random() < 0.93 else 0.0
    mirrored = -1.0 if random.random() < 0.05 else 1.0
    letter = SIDES[random.integers(2 if random.random() < 0.75 else len(SIDES))]
    paste(picture, lettering(letter, random, boxed=random.random() < 0.12), (x, y), mirrored * height, angle, bright)
    if random.random() < 0.35:
        turn = np.radians(angle)
        below = x + np.sin(turn) * height * 0.9, y + np.cos(turn) * height * 0.9
        initials = _letters(random, 2, 4)
        paste(picture, lettering(initials, random), below, mirrored * height * 0.7, angle, bright)


def words(picture: Map, random: np.random.Generator) -> None:
    """What the radiographer wrote: a word or two near an edge; in place."""
    height = max(picture.shape) * random.uniform(0.025, 0.06)
    angle = random.normal(0.0, 3.0) if random.random() < 0.8 else 90.0 * random.integers(1, 4)
    text = WORDS[random.integers(len(WORDS))]
    bright = random.uniform(0.7, 1.0) if random.random() < 0.9 else 0.0
    paste(picture, lettering(text, random), _near_an_edge(picture, random), height, angle, bright)


def text_rows(picture: Map, random: np.random.Generator) -> None:
    """Rows burned in at a corner: what was a name, a number, a date; in place."""
    rows, columns = picture.shape
    height = max(picture.shape) * random.uniform(0.02, 0.035)
    x = columns * (0.18 if random.random() < 0.5 else 0.82)
    y = height if random.random() < 0.5 else rows - 4.0 * height
    for _ in range(random.integers(1, 5)):
        paste(picture, lettering(_letters(random, 5, 13), random), (x, y), height, 0.0, random.uniform(0.6, 1.0))
        y += height


def label_box(picture: Map, random: np.random.Generator) -> None:
    """The patient's label in a corner: a plate with a line of letters, or blacked out; in place."""
    rows, columns = picture.shape
    width, height = int(columns * random.uniform(0.15, 0.35)), int(rows * random.uniform(0.05, 0.1))
    left = random.choice([0, columns - width, int(random.uniform(0, columns - width))])
    top = 0 if random.random() < 0.5 else rows - height
    plate = 0.0 if random.random() < 0.4 else random.uniform(0.5, 1.0)
    picture[top : top + height, left : left + width] = plate
    if random.random() < 0.6:
        ink = 0.0 if plate > 0.4 else 0.9
        centre = left + width / 2.0, top + height / 2.0
        paste(picture, lettering(_letters(random, 4, 9), random), centre, height * 0.7, 0.0, ink)


def _near_an_edge(picture: Map, random: np.random.Generator) -> tuple[float, float]:
    """(x, y) in the outer quarter of the picture, mostly."""
    x, y = random.uniform(0.06, 0.94), random.uniform(0.06, 0.94)
    if random.random() < 0.9:
        near = random.uniform(0.06, 0.2)
        if random.random() < 0.5:
            x = near if x < 0.5 else 1.0 - near
        else:
            y = near if y < 0.5 else 1.0 - near
    return x * picture.shape[1], y * picture.shape[0]


def _letters(random: np.random.Generator, least: int, most: int) -> str:
    return "".join(LETTERS[i] for i in random.integers(len(LETTERS), size=random.integers(least, most)))
