"""Frames around the capture go, turned fields stand up, and anatomy stays."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dicom_node.imaging import clean, picture_from_file
from dicom_node.imaging.frames import turned_field

Grey = NDArray[np.float32]


def scene(height: int = 300, width: int = 240, seed: int = 0) -> Grey:
    """Return a soft, uneven picture of middle greys that has no frame of its own."""
    noise = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 9)
    return np.asarray(0.2 + 0.6 * (soft - soft.min()) / np.ptp(soft), np.float32)


def films(folder: Path, region: str, count: int) -> list[Grey]:
    """Return real radiographs of a region that have no frame: cleaning leaves them as they are."""
    with (folder / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["region"] == region and row["use"] in ("train", "tune")]
    pictures = (picture_from_file(folder / row["file"]) for row in rows[:200])
    return [grey for grey in pictures if clean(grey).shape == grey.shape][:count]


def framed(grey: Grey, value: float, top: int, bottom: int, left: int, right: int) -> Grey:
    return np.pad(grey, ((top, bottom), (left, right)), constant_values=np.float32(value))


def turned(grey: Grey, degrees: float, value: float) -> Grey:
    """Return `grey` turned about its centre on a larger flat canvas that holds all of it."""
    side = int(np.ceil(np.hypot(*grey.shape))) + 20
    turn = cv2.getRotationMatrix2D((grey.shape[1] / 2, grey.shape[0] / 2), degrees, 1.0)
    turn[:, 2] += (side - grey.shape[1]) / 2, (side - grey.shape[0]) / 2
    return np.asarray(cv2.warpAffine(grey, turn, (side, side), borderValue=value), np.float32)


def offset(part: Grey, whole: Grey) -> tuple[int, int]:
    """Return (row, column) at which `part` lies in `whole`."""
    found = cv2.minMaxLoc(cv2.matchTemplate(whole, part, cv2.TM_SQDIFF))[2]
    return found[1], found[0]


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("widths", [(10, 25, 40, 5), (0, 60, 0, 0), (30, 30, 30, 30), (1, 0, 2, 0)])
def test_a_straight_frame_goes(value: float, widths: tuple[int, int, int, int]) -> None:
    """White and black frames of any widths go; at most 3 pixels of each edge go with them."""
    grey = scene()
    cleaned = clean(framed(grey, value, *widths))
    lost = np.subtract(grey.shape, cleaned.shape)
    assert (lost >= 0).all()
    assert (lost <= 6).all()
    row, column = offset(cleaned, grey)
    assert row <= 3
    assert column <= 3


def test_frames_around_frames_go() -> None:
    """A black letterbox around a white frame is two frames."""
    grey = scene()
    cleaned = clean(framed(framed(grey, 1.0, 12, 12, 12, 12), 0.0, 0, 0, 60, 60))
    assert np.abs(np.subtract(grey.shape, cleaned.shape)).max() <= 6


@pytest.mark.parametrize("value", [0.0, 0.35, 1.0])
@pytest.mark.parametrize("degrees", [-30.0, -8.0, 3.0, 15.0, 40.0])
def test_a_turned_field_stands_up(value: float, degrees: float) -> None:
    """A field turned by some degrees comes back upright, within 4 pixels and nearly the same picture."""
    grey = scene()
    grey[:4], grey[-4:], grey[:, :4], grey[:, -4:] = 0.6, 0.6, 0.6, 0.6
    cleaned = clean(turned(grey, degrees, value))
    assert np.abs(np.subtract(grey.shape, cleaned.shape)).max() <= 8
    inner = cleaned[12:-12, 12:-12]
    row, column = offset(inner, grey)
    assert np.abs(inner - grey[row : row + inner.shape[0], column : column + inner.shape[1]]).mean() < 0.02


@pytest.mark.shared
@pytest.mark.parametrize(
    ("region", "value"),
    [
        ("knee", 0.0),
        ("knee", 1.0),
        ("lumbar_spine", 0.0),
        ("lumbar_spine", 1.0),
        ("thoracic_spine", 0.0),
        ("thoracic_spine", 1.0),
        ("hand", 1.0),  # black air runs into a black frame: no edge, so nothing is cut
    ],
)
def test_frames_around_real_radiographs_go(shared_radiographs: Path, region: str, value: float) -> None:
    """Frames drawn around real pictures are found to within a few pixels wherever the picture differs from them."""
    pictures = films(shared_radiographs, region, 8)
    assert pictures
    misses = []
    for grey in pictures:
        cleaned = clean(framed(grey, value, 14, 22, 9, 31))
        misses.append(int(np.abs(np.subtract(grey.shape, cleaned.shape)).max()))
    assert sum(miss <= 6 for miss in misses) >= len(misses) - 1


@pytest.mark.shared
@pytest.mark.parametrize("degrees", [-12.0, 7.0, 25.0])
def test_real_radiographs_on_white_stand_up(shared_radiographs: Path, degrees: float) -> None:
    """Real pictures turned on a white canvas come back to their own size."""
    pictures = films(shared_radiographs, "knee", 4) + films(shared_radiographs, "hand", 4)
    misses = [np.abs(np.subtract(grey.shape, clean(turned(grey, degrees, 1.0)).shape)).max() for grey in pictures]
    assert sum(miss <= 8 for miss in misses) >= len(misses) - 1


@pytest.mark.parametrize("degrees", [0, 10, 30])
def test_a_limb_that_crosses_the_picture_is_left_alone(degrees: int) -> None:
    """Two parallel edges are a limb, not a field."""
    canvas = np.zeros((600, 600), np.uint8)
    canvas[:, 230:370] = 180
    turn = cv2.getRotationMatrix2D((300, 300), degrees, 1.0)
    limb = np.asarray(cv2.warpAffine(canvas, turn, (600, 600))[150:450, 150:450], np.uint8)
    assert turned_field(limb) is None


def drawn(*outlines: list[tuple[int, int]]) -> NDArray[np.uint8]:
    canvas = np.zeros((400, 400), np.uint8)
    for outline in outlines:
        cv2.fillPoly(canvas, [np.array(outline, np.int32)], 180)
    return canvas


FIELD = [(80, 60), (340, 110), (300, 330), (40, 280)]
"""The corners of a rectangle, nearly, turned by 11 degrees."""


def test_only_a_lone_full_rectangle_is_a_turned_field() -> None:
    """A second field, a missing quarter, or cut corners make it something else, which is left alone."""
    second = [(345, 5), (395, 5), (395, 60), (345, 60)]
    quarter_missing = [(80, 60), (340, 110), (320, 220), (190, 195), (170, 305), (40, 280)]
    octagon = [(140, 60), (260, 60), (340, 140), (340, 260), (260, 340), (140, 340), (60, 260), (60, 140)]
    turn = cv2.getRotationMatrix2D((200, 200), 15, 1.0)
    octagon_turned = np.asarray(cv2.warpAffine(drawn(octagon), turn, (400, 400)), np.uint8)
    assert turned_field(drawn(FIELD)) is not None
    assert turned_field(drawn(FIELD, second)) is None
    assert turned_field(drawn(quarter_missing)) is None
    assert turned_field(octagon_turned) is None


def test_a_round_thing_in_air_is_left_alone() -> None:
    """A skull on black is no field and its air is no frame."""
    grey = np.zeros((300, 300), np.float32)
    cv2.ellipse(grey, (150, 150), (110, 130), 20, 0, 360, 0.8, -1)
    np.testing.assert_array_equal(clean(cv2.GaussianBlur(grey, (0, 0), 6)), cv2.GaussianBlur(grey, (0, 0), 6))


def test_two_fields_side_by_side_both_stay() -> None:
    """Of two turned fields on one film neither is cut away."""
    canvas = np.zeros((400, 700), np.float32)
    for left in (20, 360):
        canvas[40:360, left : left + 320] = np.maximum(
            canvas[40:360, left : left + 320], cv2.resize(turned(scene(200, 160), 10, 0.0), (320, 320))
        )
    assert clean(canvas).shape[1] >= 560


def test_a_field_that_is_too_small_is_left_alone() -> None:
    """When less than a fifth of the picture would remain, nothing is cut."""
    grey = framed(scene(60, 60), 0.0, 100, 100, 100, 100)
    np.testing.assert_array_equal(clean(grey), grey)


def test_frames_that_meet_around_a_bright_line_are_left_alone() -> None:
    """There is no field between them, and nothing to fail on."""
    grey = np.zeros((1024, 1024), np.float32)
    grey[510:514] = 1.0
    np.testing.assert_array_equal(clean(grey), grey)


@pytest.mark.shared
@pytest.mark.parametrize("region", ["knee", "pelvis_hip", "lumbar_spine", "thoracic_spine"])
def test_frameless_radiographs_keep_their_anatomy(shared_radiographs: Path, region: str) -> None:
    """Of close-cropped real radiographs at least 97 in 100 stay untouched, and none loses a tenth of its area."""
    with (shared_radiographs / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["region"] == region and row["use"] == "train"][:150]
    kept = []
    for row in rows:
        grey = picture_from_file(shared_radiographs / row["file"])
        kept.append(clean(grey).size / grey.size)
    assert min(kept) > 0.9
    assert np.mean(np.equal(kept, 1.0)) >= 0.97


def test_cleaning_twice_changes_nothing_more() -> None:
    """What is clean stays as it is."""
    once = clean(turned(framed(scene(), 0.0, 10, 10, 20, 20), 12.0, 1.0))
    assert np.abs(np.subtract(once.shape, clean(once).shape)).max() <= 4


def test_large_pictures_come_back_at_most_1024_wide() -> None:
    """The model needs no more, and everything behind is fast."""
    assert clean(scene(2200, 1800)).shape == (1024, 838)
