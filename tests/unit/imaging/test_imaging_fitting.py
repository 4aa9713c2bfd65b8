"""The last step into the model."""

import numpy as np
import pytest

from dicom_node.imaging import fit, model_input


@pytest.mark.parametrize("shape", [(300, 100), (100, 300), (64, 64), (10, 30), (1, 2000), (225, 224)])
def test_the_fit_keeps_the_aspect_ratio_and_centres(shape: tuple[int, int]) -> None:
    """A white picture becomes a white rectangle of its own proportions, centred in black."""
    fitted = fit(np.ones(shape, np.float32), 224)
    assert fitted.shape == (224, 224)
    assert fitted.dtype == np.float32
    rows, columns = (np.flatnonzero(fitted.any(axis=axis)) for axis in (1, 0))
    expected = [max(1, round(side * 224 / max(shape))) for side in shape]
    assert [rows.size, columns.size] == expected
    for found in (rows, columns):
        assert abs(found[0] - (223 - found[-1])) <= 1
    assert fitted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].min() == pytest.approx(1.0)


def test_shrinking_averages() -> None:
    """Shrinking by a whole factor gives the mean of each block, so that nothing aliases."""
    grey = np.random.default_rng(0).random((128, 128)).astype(np.float32)
    blocks = grey.reshape(32, 4, 32, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(fit(grey, 32), blocks, atol=1e-5)


def test_the_model_sees_the_whole_grey_range() -> None:
    """A low-contrast picture is stretched; contrast and brightness of the capture no longer tell."""
    noise = np.random.default_rng(0).random((224, 224)).astype(np.float32)
    dim = model_input(0.3 + 0.1 * noise, 224)
    assert dim.min() == 0.0
    assert dim.max() == 1.0
    np.testing.assert_allclose(dim, model_input(0.2 + 0.5 * noise, 224), atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_blank_picture_passes(value: float) -> None:
    """Nothing to stretch, nothing to crop, and no division by zero."""
    seen = model_input(np.full((300, 200), value, np.float32), 96)
    assert seen.shape == (96, 96)
    assert np.isfinite(seen).all()


def test_the_input_is_left_alone_and_the_output_is_the_same_twice() -> None:
    """Deterministic, and without side effects on the caller's array."""
    grey = np.random.default_rng(0).random((600, 500)).astype(np.float32)
    before = grey.copy()
    np.testing.assert_array_equal(model_input(grey, 128), model_input(grey, 128))
    np.testing.assert_array_equal(grey, before)
