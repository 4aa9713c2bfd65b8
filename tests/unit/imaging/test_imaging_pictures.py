"""Picture files as grey images."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dicom_node.errors import UndecodableError
from dicom_node.imaging import picture_from_file

COLOURS = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def test_a_16_bit_png_keeps_its_depth(tmp_path: Path) -> None:
    """Each of 65,536 levels is told apart."""
    values = np.arange(600, dtype=np.uint16).reshape(20, 30) + 40000
    cv2.imwrite(str(tmp_path / "deep.png"), values)
    grey = picture_from_file(tmp_path / "deep.png")
    np.testing.assert_allclose(grey, values / 65535.0, atol=1e-7)
    assert np.unique(grey).size == 600


def test_an_8_bit_png_spans_the_range(tmp_path: Path) -> None:
    """0 is black and 255 is 1."""
    values = np.linspace(0, 255, 600).astype(np.uint8).reshape(20, 30)
    cv2.imwrite(str(tmp_path / "grey.png"), values)
    np.testing.assert_allclose(picture_from_file(tmp_path / "grey.png"), values / 255.0, atol=1e-7)


def test_colour_becomes_luminance(tmp_path: Path) -> None:
    """Red, green and blue weigh 0.299, 0.587 and 0.114 (ITU-R BT.601)."""
    cv2.imwrite(str(tmp_path / "colour.png"), COLOURS)
    blue, green, red = (COLOURS[..., at].astype(np.float64) for at in range(3))
    expected = (0.114 * blue + 0.587 * green + 0.299 * red) / 255.0
    np.testing.assert_allclose(picture_from_file(str(tmp_path / "colour.png")), expected, atol=1.1 / 255)


def test_a_jpeg_is_read(tmp_path: Path) -> None:
    """Grey JPEGs are pictures too."""
    cv2.imwrite(str(tmp_path / "flat.jpg"), np.full((20, 30), 128, np.uint8))
    np.testing.assert_allclose(picture_from_file(tmp_path / "flat.jpg"), 128 / 255.0, atol=2 / 255)


def bomb() -> bytes:
    """A PNG header that announces 100,000 x 100,000 pixels."""
    return b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + (100_000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "neither"),
        (b"no picture", "neither"),
        (b"\x89PNG\r\n\x1a\n", "ends before"),
        (bomb(), "more than"),
        (bomb().replace((100_000).to_bytes(4, "big"), (10).to_bytes(4, "big")), "cannot be decoded"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_picture_says_why(tmp_path: Path, content: bytes | None, reason: str) -> None:
    """Missing, foreign, cut, absurd and damaged files are UndecodableErrors with a reason."""
    path = tmp_path / "picture"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UndecodableError, match=reason):
        picture_from_file(path)
