"""From the detector's signal to the grey that a workstation, a film or a scanner shows, bone bright.

    signal -> window -> detail and compression (CR, DR) or characteristic curve (film) -> equalisation -> grain ->
    scanning -> polarity

Each step is drawn with the recipe's share and kept within limits: what a person could not recognise teaches the wrong
thing.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.simulate.noise import Map, broad, white
from training.simulate.recipe import ToneRecipe

LEAST_SPAN = 0.12
"""Between the 5th and the 95th percentile of the field: below, the plain window is shown instead."""
LEAST_DETAIL = 0.03
"""Half of what covers the subject differs by more than this from its surroundings; below, detail is raised."""
COVERED = 0.4
"""Apparent optical depth from which a pixel counts as the subject's."""
MOST_RAISED = 8.0
MOST_GRAIN = 0.04
"""Of the whole range, and never more than what covers the subject differs from its surroundings."""


def render_tone(signal: Map, random: np.random.Generator, recipe: ToneRecipe, inside: Map | None = None) -> Map:
    """Return the picture (H, W) float32 in [0, 1].

    Args:
        signal: (H, W) apparent optical depth, larger where more was absorbed.
        random: for everything that is drawn.
        recipe: the shares.
        inside: (H, W), above 0.5 where the beam fell; the window looks there alone.
    """
    samples = _field_samples(signal, inside)
    low, high = _window(samples, random, recipe)
    shown = (signal - low) * np.float32(1.0 / max(high - low, 1e-3))
    if random.random() < recipe.processed:
        shown = detail(shown, random)
    picture = _curved(shown, random, film=random.random() < recipe.film)
    if random.random() < recipe.local_equalisation:
        picture = _locally_equalised(picture, _unclipped(signal, samples), random)
    if random.random() < recipe.equalisation:
        picture = _blend(picture, _bytes_to_map(cv2.equalizeHist(to_bytes(picture))), random.uniform(0.4, 1.0))
    covered = _covered(signal, inside)
    picture = _recognisable(picture, signal, samples, inside, covered)
    if random.random() < recipe.grain:
        most = min(MOST_GRAIN, _strength(np.clip(picture, 0.0, 1.0), covered))
        picture += np.float32(random.uniform(0.0, most)) * white(_shape(picture), random)
    if random.random() < recipe.scanned:
        picture = _scanned(picture, random)
    if random.random() < recipe.inverted:
        picture = np.float32(1.0) - picture
    return np.clip(picture, 0.0, 1.0)


def detail(shown: Map, random: np.random.Generator) -> Map:
    """Multi-scale processing as CR and DR do it: raise the detail, compress the broad differences, halos included.

    The picture is split into bands (differences of Gaussians); each band is multiplied by a gain, with an S-shaped
    limit that keeps the strongest edges from ringing through the whole picture (Vuylsteke and Schoeters 1994, SPIE
    2167, 551).
    """
    side = max(shown.shape)
    fine, middle, rough = (np.float32(gain) for gain in _gains(random))
    sharp = np.clip(shown, -0.5, 2.0)
    first = _blurred(sharp, side * random.uniform(0.006, 0.014))
    second = _blurred(first, side * random.uniform(0.02, 0.04))
    base = _blurred_small(second, side * random.uniform(0.035, 0.15))
    bands = fine * _limited(sharp - first) + middle * _limited(first - second) + rough * (second - base)
    centre = np.float32(np.median(base[::4, ::4]))
    return np.asarray(centre + np.float32(random.uniform(0.2, 1.0)) * (base - centre) + bands, np.float32)


def compressed(picture: Map, random: np.random.Generator, recipe: ToneRecipe) -> Map:
    """What an archive or a web page leaves of a picture: few grey levels, blocks; (H, W) in [0, 1]."""
    if random.random() < recipe.posterised:
        levels = np.float32(random.integers(8, 40))
        picture = np.asarray(np.round(picture * levels) / levels, np.float32)
    if random.random() < recipe.compressed:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(20, 95))]
        stream = cv2.imencode(".jpg", to_bytes(picture), quality)[1]
        picture = _bytes_to_map(cv2.imdecode(stream, cv2.IMREAD_GRAYSCALE))
    return picture


def to_bytes(picture: Map) -> npt.NDArray[np.uint8]:
    """(H, W) in [0, 1] -> (H, W) in 0..255, rounded."""
    return np.asarray(np.clip(picture, 0.0, 1.0) * 255.0 + 0.5, np.uint8)


def _field_samples(signal: Map, inside: Map | None) -> Map:
    """Every third pixel of every third row of the exposed field, in ascending order."""
    few = signal[::3, ::3]
    if inside is not None and np.count_nonzero(inside[::3, ::3] > 0.5) > 50:
        few = few[inside[::3, ::3] > 0.5]
    return np.sort(few, axis=None)


def _quantile(samples: Map, share: float) -> float:
    return float(samples[round(share * (samples.size - 1))])


def _window(samples: Map, random: np.random.Generator, recipe: ToneRecipe) -> tuple[float, float]:
    """Lower and upper end: by percentiles of the field, two in five of what the body covers, one in five of its thick
    parts alone (a spine between lungs), a few badly chosen.
    """
    if random.random() < 0.2:
        low, high = _quantile(samples, random.uniform(0.15, 0.5)), _quantile(samples, 0.998)
        return low - 0.1 * (high - low), high + random.uniform(0.0, 0.25) * (high - low)
    bad = random.random() < recipe.badly_windowed
    low = _quantile(samples, random.uniform(0.0, 0.3 if bad else 0.08))
    high = _quantile(samples, random.uniform(0.85 if bad else 0.95, 1.0))
    if random.random() < 0.4:
        # The open air is not of interest: the window begins in the tissue.
        low = max(low, _quantile(samples, 0.02) + 0.25 * (high - _quantile(samples, 0.02)))
    span = high - low
    dark, bright = (0.6, 0.25) if bad else (0.15, 0.08)
    return low - random.uniform(0.0, bright) * span, high + random.uniform(-0.05, dark) * span


def _gains(random: np.random.Generator) -> tuple[float, float, float]:
    """Fine, middle, rough: mild ones often, strong ones seldom."""
    strength = random.random() ** 1.5
    return 1.0 + 3.0 * strength * random.random(), 1.0 + 2.5 * strength * random.random(), random.uniform(0.6, 1.5)


def _curved(shown: Map, random: np.random.Generator, *, film: bool) -> Map:
    """Gamma, or a film's characteristic curve: density over the logarithm of exposure is S-shaped (Hurter, Driffield).

    The signal already is that logarithm, up to its sign.
    """
    if not film:
        return np.asarray(np.clip(shown, 0.0, 1.0) ** np.float32(np.exp(random.uniform(-0.5, 0.5))), np.float32)
    gradient, centre = random.uniform(3.0, 8.0), random.uniform(0.35, 0.65)
    logistic = 1.0 / (1.0 + np.exp(np.float32(gradient) * (np.float32(centre) - np.clip(shown, -1.0, 2.0))))
    toe, shoulder = (1.0 / (1.0 + np.exp(gradient * (centre - end))) for end in (0.0, 1.0))
    return np.asarray(np.clip((logistic - toe) / np.float32(shoulder - toe), 0.0, 1.0), np.float32)


def _locally_equalised(picture: Map, whole: Map, random: np.random.Generator) -> Map:
    """Contrast-limited equalisation, on the finished picture or, twice as often, on the detector's whole range, where
    no window has cut off anything yet: lungs, spine and belly then show their detail side by side.
    """
    source = picture if random.random() < 0.33 else whole
    tiles = int(random.integers(2, 11))
    limit = float(np.exp(random.uniform(np.log(1.2), np.log(9.0))))
    fine = np.asarray(np.clip(source, 0.0, 1.0) * np.float32(65535.0), np.uint16)
    adapted = cv2.createCLAHE(clipLimit=limit, tileGridSize=(tiles, tiles)).apply(fine)
    return _blend(source, np.asarray(adapted, np.float32) / np.float32(65535.0), random.uniform(0.5, 1.0))


def _unclipped(signal: Map, samples: Map) -> Map:
    """The window (H, W) from the least to the most that the field has, but for a few pixels."""
    low, high = _quantile(samples, 0.002), _quantile(samples, 0.998)
    return np.asarray((signal - np.float32(low)) / np.float32(max(high - low, 1e-3)), np.float32)


def _covered(signal: Map, inside: Map | None) -> npt.NDArray[np.bool_]:
    """Which of every third pixel of every third row the subject covers, within the open field."""
    covered = signal[::3, ::3] > COVERED
    return covered if inside is None else covered & (inside[::3, ::3] > 0.9)


def _recognisable(picture: Map, signal: Map, samples: Map, inside: Map | None, covered: npt.NDArray[np.bool_]) -> Map:
    """The picture, or the plain window where tone has eaten the contrast; with its detail raised where that is faint.

    The shadow of a stout body is so broad that a window over all of it leaves its bones without contrast, or white
    altogether: their detail is then taken from the signal.
    """
    grey = _field_samples(picture, inside)
    if _quantile(grey, 0.95) - _quantile(grey, 0.05) < LEAST_SPAN:
        low, high = _quantile(samples, 0.02), _quantile(samples, 0.99)
        picture = np.asarray(np.clip((signal - low) / np.float32(max(high - low, 1e-3)), 0.0, 1.0), np.float32)
    if _strength(np.clip(picture, 0.0, 1.0), covered) >= LEAST_DETAIL:
        return picture
    whole = _unclipped(signal, samples)
    factor = min(LEAST_DETAIL / max(_strength(whole, covered), 1e-6), MOST_RAISED)
    broad_part = _blurred_small(whole, max(whole.shape) / 16)
    return np.asarray(np.clip(0.5 * broad_part + 0.25 + factor * (whole - broad_part), 0.0, 1.0), np.float32)


def _strength(picture: Map, covered: npt.NDArray[np.bool_]) -> float:
    """How much the median pixel of what is `covered` (every third of either axis) differs from its surroundings.

    The median: the body's outline is strong wherever there is one, and says nothing of the bones.
    """
    fine = _blurred(picture, max(picture.shape) / 120) - _blurred_small(picture, max(picture.shape) / 16)
    seen = np.abs(fine[::3, ::3][covered])
    return float(np.median(seen)) if seen.size > 50 else LEAST_DETAIL


def _scanned(picture: Map, random: np.random.Generator) -> Map:
    """A film before a light box: fog below, a weak top, light that is not the same everywhere."""
    dark, light = random.uniform(0.0, 0.3), random.uniform(0.6, 1.0)
    uneven = 1.0 + np.float32(random.uniform(0.0, 0.12)) * broad(_shape(picture), random)
    return np.asarray((np.float32(dark) + np.float32(light - dark) * picture) * uneven, np.float32)


def _limited(band: Map) -> Map:
    """About the same for small values, at most 0.25 either way."""
    return band / (np.float32(1.0) + np.abs(band) * np.float32(4.0))


def _blurred(picture: Map, sigma: float) -> Map:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def _blurred_small(picture: Map, sigma: float) -> Map:
    """A broad blur, done on a quarter of the side."""
    height, width = picture.shape
    small = cv2.resize(picture, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(small, (0, 0), sigma / 4)
    return np.asarray(cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _blend(one: Map, other: Map, share: float) -> Map:
    return one + np.float32(share) * (other - one)


def _bytes_to_map(picture: Any) -> Map:
    return np.asarray(picture, np.float32) / np.float32(255.0)


def _shape(picture: Map) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]
