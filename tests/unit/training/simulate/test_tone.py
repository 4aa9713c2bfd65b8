"""Tone: whatever is drawn, a picture stays a picture."""

import dataclasses

import numpy as np
import pytest

from training.simulate.recipe import BARE_TONE, ToneRecipe
from training.simulate.tone import compressed, detail, render_tone, to_bytes


def knee(size: int = 120) -> np.ndarray:
    """A signal with air, tissue and two bones with a gap: (H, W) apparent optical depth."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    tissue = 2.0 * np.sqrt(np.clip(0.16 - x**2, 0, None)) / 0.4
    bone = 1.5 * np.sqrt(np.clip(0.04 - x**2, 0, None)) / 0.2 * (np.abs(y) > 0.03)
    return np.asarray(tissue + bone, np.float32)


def always(**shares: float) -> ToneRecipe:
    return dataclasses.replace(BARE_TONE, **shares)


def test_a_plain_window_keeps_the_order_of_the_signal() -> None:
    """What absorbs more is brighter: bone over tissue over air."""
    picture = render_tone(knee(), np.random.default_rng(0), BARE_TONE)
    assert picture.dtype == np.float32
    assert picture[30, 60] > picture[60, 60] > picture[60, 1]
    few = np.argsort(knee()[30], kind="stable")
    assert (np.diff(picture[30][few]) >= -1e-6).all()


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_drawn_the_bones_differ_from_the_gap(seed: int) -> None:
    """No setting eats the picture: values stay in [0, 1], and bone, gap and air can be told apart."""
    picture = render_tone(knee(), np.random.default_rng(seed), ToneRecipe())
    assert picture.shape == (120, 120)
    assert picture.min() >= 0.0
    assert picture.max() <= 1.0
    regions = picture[20:40, 55:65].mean(), picture[58:62, 55:65].mean(), picture[:, :6].mean()
    assert max(regions) - min(regions) > 0.08


def test_inversion_turns_the_polarity() -> None:
    picture = render_tone(knee(), np.random.default_rng(0), always(inverted=1.0))
    assert picture[30, 60] < picture[60, 1]


def grain(seed: int) -> float:
    """How far it moves the greys of a picture that is else the same: standard deviation, without those at an end."""
    made = [render_tone(knee(), np.random.default_rng(seed), always(grain=share)) for share in (0.0, 1.0)]
    middle = (made[0] > 0.15) & (made[0] < 0.85)
    return float((made[1] - made[0])[middle].std())


def test_grain_lies_on_the_picture_and_stays_below_its_limit() -> None:
    """At most 0.04 of the grey scale, of any strength below it, and nothing else changes."""
    grains = [grain(seed) for seed in range(20)]
    assert max(grains) <= 0.042
    assert max(grains) > 0.02 > min(grains)


def test_faint_bones_stand_out_from_the_grain_of_a_scanned_film() -> None:
    """Bones of a quarter of an optical depth in a body of eight, with a gap that few of forty films lose."""
    y, x = np.mgrid[0:120, 0:120].astype(np.float32) / 120 - 0.5
    signal = 16.0 * np.sqrt(np.clip(0.25 - x**2, 0, None)) + 0.25 * ((np.abs(x) < 0.1) & (np.abs(y) > 0.05))
    clear = []
    for seed in range(40):
        film = render_tone(np.asarray(signal, np.float32), np.random.default_rng(seed), always(grain=1.0, scanned=1.0))
        bone, gap = film[20:48, 50:70], film[56:64, 50:70]
        clear.append(abs(bone.mean() - gap.mean()) / (np.diff(bone, axis=1).std() / np.sqrt(2.0)))
    assert np.median(clear) > 4.0
    assert np.quantile(clear, 0.1) > 1.0


def test_detail_puts_a_halo_at_an_edge() -> None:
    """Overshoot on both sides of a step, as edge enhancement makes it."""
    step = np.full((100, 100), 0.3, np.float32)
    step[:, 50:] = 0.6
    made = [detail(step, np.random.default_rng(seed))[50] for seed in range(20)]
    overshoot = [row[50:55].max() - row[85:].mean() for row in made]
    assert max(overshoot) > 0.05
    assert min(overshoot) > -0.02


def test_the_window_looks_at_the_field_alone() -> None:
    """A bright frame outside the field does not darken the picture inside."""
    framed, inside = knee(), np.zeros((120, 120), np.float32)
    inside[10:110, 10:110] = 1.0
    framed[inside < 0.5] = 10.0
    alone = render_tone(framed, np.random.default_rng(0), BARE_TONE, inside)
    misled = render_tone(framed, np.random.default_rng(0), BARE_TONE)
    assert alone[30, 60] > 2 * misled[30, 60]


def test_compression_changes_little_but_something() -> None:
    picture = render_tone(knee(), np.random.default_rng(0), BARE_TONE)
    squeezed = compressed(picture, np.random.default_rng(1), always(compressed=1.0))
    assert 0 < np.abs(squeezed - picture).mean() < 0.05


def test_bytes_are_rounded_and_limited() -> None:
    np.testing.assert_array_equal(to_bytes(np.array([[-1, 0, 0.5, 2]], np.float32)), [[0, 0, 128, 255]])


def test_the_same_seed_tones_alike() -> None:
    one, two = (render_tone(knee(), np.random.default_rng([1, 2]), ToneRecipe()) for _ in range(2))
    np.testing.assert_array_equal(one, two)
