"""The detector against closed forms: attenuation, scatter, quantum noise, the collimator's shadow."""

import numpy as np
import pytest

from training.simulate.detector import LEAST_EXPOSURE, MOST_SCATTER, Exposure, draw_exposure, expose, scattered
from training.simulate.recipe import BARE_DETECTOR, DetectorRecipe


def wedge(size: int = 64, deepest: float = 6.0) -> np.ndarray:
    """An aluminium wedge: the optical depth grows evenly to the right."""
    return np.tile(np.linspace(0.0, deepest, size, dtype=np.float32), (size, 1))


def bare(random: np.random.Generator) -> Exposure:
    return draw_exposure(random, BARE_DETECTOR)


def test_the_signal_without_scatter_and_noise_is_the_optical_depth() -> None:
    """Beer and Lambert: I = I0 exp(-tau), and the detector answers with -ln(I / I0) = tau."""
    random = np.random.default_rng(0)
    signal = expose(wedge(), bare(random), random)
    np.testing.assert_allclose(signal, wedge(), atol=2e-3)


def test_two_layers_attenuate_like_their_sum() -> None:
    """20 mm of soft tissue at 20/m before 10 mm of bone at 60/m let exp(-1) of the photons through."""
    random = np.random.default_rng(0)
    depth = np.full((32, 32), 0.020 * 20.0 + 0.010 * 60.0, np.float32)
    signal = expose(depth, bare(random), random)
    assert np.exp(-signal).mean() == pytest.approx(np.exp(-1.0), rel=1e-3)


def test_scatter_lightens_the_shadow_of_bone_by_the_ratio_that_was_asked_for() -> None:
    """With as much scatter as half of the mean depth's primary, an even body lets (1 + ratio) exp(-tau) through."""
    depth = np.full((60, 60), 2.0, np.float32)
    ratio = 0.25 * 2.0
    random = np.random.default_rng(0)
    signal = expose(depth, Exposure(photons=1e12, scatter=0.25), random)
    assert float(signal.mean()) == pytest.approx(2.0 - np.log1p(ratio), abs=1e-3)


def test_scatter_never_exceeds_what_a_stout_abdomen_gives() -> None:
    depth = np.full((60, 60), 9.0, np.float32)
    primary = np.exp(-depth)
    np.testing.assert_allclose(scattered(primary, depth, 10.0), MOST_SCATTER * primary, rtol=1e-4)


@pytest.mark.parametrize("photons", [1e4, 1e6])
def test_the_noise_of_n_photons_is_the_root_of_n(photons: float) -> None:
    """In the logarithm: a standard deviation of 1 / sqrt(N exp(-tau))."""
    random = np.random.default_rng(3)
    signal = expose(np.full((200, 200), 1.5, np.float32), Exposure(photons=photons), random)
    assert float(signal.std()) == pytest.approx(1.0 / np.sqrt(photons), rel=0.03)


def test_where_the_collimator_stops_the_beam_the_detector_sees_scatter_alone() -> None:
    """Outside the field the signal is larger than inside, and smaller the more is scattered; it never is infinite."""
    depth, field = np.ones((64, 64), np.float32), np.zeros((64, 64), np.float32)
    field[:, 20:44] = 1.0
    dark = expose(depth, Exposure(photons=1e9), np.random.default_rng(0), field)
    lit = expose(depth, Exposure(photons=1e9, scatter=0.5), np.random.default_rng(0), field)
    np.testing.assert_allclose(dark[:, :10], -np.log(LEAST_EXPOSURE), rtol=1e-5)
    assert 1.5 < lit[32, 10] < dark[32, 10]


def test_blur_widens_an_edge_and_keeps_the_photons() -> None:
    depth = np.zeros((64, 64), np.float32)
    depth[:, 32:] = 2.0
    sharp = np.exp(-expose(depth, Exposure(photons=1e12), np.random.default_rng(0)))
    soft = np.exp(-expose(depth, Exposure(photons=1e12, blur=1.5), np.random.default_rng(0)))
    assert np.abs(np.diff(soft[32])).max() < 0.5 * np.abs(np.diff(sharp[32])).max()
    assert soft.mean() == pytest.approx(sharp.mean(), rel=1e-2)


def test_texture_and_an_uneven_field_are_nothing_where_they_are_switched_off_and_something_elsewhere() -> None:
    depth = np.full((64, 64), 2.0, np.float32)
    plain = expose(depth, Exposure(photons=1e12), np.random.default_rng(1))
    rich = expose(depth, Exposure(photons=1e12, texture=0.1, unevenness=0.3), np.random.default_rng(1))
    assert plain.std() < 1e-4
    assert 0.05 < rich.std() < 0.6


def test_texture_never_hides_faint_bones() -> None:
    """An infant's bones stand out by an eighth of an optical depth: the strongest texture leaves them to be seen."""
    depth = np.full((64, 64), 2.0, np.float32)
    strongest = Exposure(photons=1e12, texture=DetectorRecipe().texture[1])
    hidden = expose(depth, strongest, np.random.default_rng(1))
    seen = expose(depth, strongest, np.random.default_rng(1), contrast=0.125)
    assert hidden.std() > 0.125
    assert seen.std() < 0.5 * 0.125


def with_a_faint_bone(tissue: float, contrast: float) -> np.ndarray:
    """A body of this optical depth with a bone in its right half."""
    depth = np.full((96, 96), tissue, np.float32)
    depth[:, 48:] += np.float32(contrast)
    return depth


@pytest.mark.parametrize("tissue", [6.0, 15.0])
def test_noise_never_hides_faint_bones_however_stout_the_body(tissue: float) -> None:
    """Few photons behind the subject are more where its bones stand out by a tenth of an optical depth."""
    few = Exposure(photons=500.0, scatter=0.5)
    depth = with_a_faint_bone(tissue, 0.1)
    hidden = expose(depth, few, np.random.default_rng(2))
    seen = expose(depth, few, np.random.default_rng(2), contrast=0.1)
    assert hidden[:, :48].std() > 0.1 / (1.0 + MOST_SCATTER)
    shown = float(seen[:, 60:].mean() - seen[:, :36].mean())
    assert shown > 3.0 * float(seen[:, :36].std())


def test_metal_that_hides_all_behind_it_does_not_set_the_exposure() -> None:
    """A tenth of the picture is lead: the noise beside it stays that of the photons that were asked for."""
    depth = with_a_faint_bone(3.0, 0.0)
    depth[:10] = 60.0
    signal = expose(depth, Exposure(photons=1e4), np.random.default_rng(2), contrast=0.3)
    assert float(signal[12:].std()) == pytest.approx(0.01, rel=0.05)


def test_the_same_seed_exposes_alike() -> None:
    def once() -> np.ndarray:
        random = np.random.default_rng([5, 6])
        return expose(wedge(), draw_exposure(random, DetectorRecipe()), random)

    np.testing.assert_array_equal(once(), once())
