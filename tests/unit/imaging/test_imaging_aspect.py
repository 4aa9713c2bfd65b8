"""Pixels that are not square reach the model as if they were."""

from collections.abc import Callable

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicom_node.imaging import grey_from_dataset

Factory = Callable[..., Dataset]
SPACINGS = ["PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"]


def round_thing() -> np.ndarray:
    y, x = np.mgrid[:120, :120]
    return np.where((y - 60) ** 2 + (x - 60) ** 2 < 40**2, 200, 0).astype(np.uint16)


def extent(grey: np.ndarray) -> tuple[int, int]:
    """Rows and columns of what is bright."""
    bright = grey > 0.5
    return int(bright.any(axis=1).sum()), int(bright.any(axis=0).sum())


@pytest.mark.parametrize("keyword", SPACINGS)
@pytest.mark.parametrize(
    ("step", "spacing", "shape"), [((2, 1), [2, 1], (60, 60)), ((1, 2), [1, 2], (60, 60)), ((3, 2), [3, 2], (40, 40))]
)
def test_a_round_thing_is_round_whatever_shape_its_pixels_have(
    radiograph: Factory, keyword: str, step: tuple[int, int], spacing: list[int], shape: tuple[int, int]
) -> None:
    """Vertical size first: where every second row is missing, rows lie twice as far apart as columns."""
    grey = grey_from_dataset(radiograph(round_thing()[:: step[0], :: step[1]].copy(), **{keyword: spacing}))
    rows, columns = extent(grey)
    assert grey.shape == shape
    assert abs(rows - columns) <= 1


@pytest.mark.parametrize("keyword", SPACINGS)
@pytest.mark.parametrize("spacing", [[1, 1], [100, 101], [0, 1], [1, 0], [-1, -2], [1, 50], [1, 2, 3], 2, None])
def test_square_pixels_and_spacings_that_cannot_be_leave_the_image_as_it_is(
    radiograph: Factory, keyword: str, spacing: object
) -> None:
    expected = grey_from_dataset(radiograph(round_thing()))
    np.testing.assert_array_equal(grey_from_dataset(radiograph(round_thing(), **{keyword: spacing})), expected)


@pytest.mark.parametrize("value", [b"wide\\high ", b"1e999\\1 ", b"\xff\\\xfe "])
def test_a_spacing_that_is_no_number_is_passed_over_for_the_next(radiograph: Factory, value: bytes) -> None:
    ds = radiograph(round_thing()[::2].copy(), PixelSpacing=[0.4, 0.2])
    ds[0x00280034] = RawDataElement(Tag(0x00280034), "IS", len(value), value, 0, False, True)
    assert grey_from_dataset(ds).shape == (60, 60)


def test_the_aspect_ratio_speaks_before_the_spacing(radiograph: Factory) -> None:
    ds = radiograph(round_thing(), PixelAspectRatio=[1, 1], PixelSpacing=[0.4, 0.2])
    assert grey_from_dataset(ds).shape == (120, 120)
