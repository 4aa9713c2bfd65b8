"""From optical depth to what a detector measures: attenuation, scatter, the uneven field, blur, quantum noise, log.

Behind an optical depth tau (attenuation in 1/m times length in m, no unit), of I0 photons

    primary = I0 exp(-tau)                                                          (Beer and Lambert)

arrive. Scattered photons join as a broad, weaker copy of the primary (Love and Kruger 1987, Med Phys 14, 178); their
ratio to the primary grows with the thickness and falls with an anti-scatter grid. The detector counts photons, so the
noise of N photons is sqrt(N), and it answers with the logarithm of its exposure, like film between toe and shoulder.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from training.simulate.noise import Map, broad, of_all_scales, white
from training.simulate.recipe import DetectorRecipe, Range

GRID_TRANSMITS = 0.2
"""Share of the scatter that comes through a grid of ratio 8 to 12."""
SCATTER_REACH = 0.12
"""Sigma of the scatter's kernel as a share of the picture's side."""
LEAST_EXPOSURE = 2e-6
"""Of the open field's: what leaks and glares in the darkest place; an optical depth of about 13."""
LEAST_BEHIND = 0.1
"""The same, of what arrives behind the subject: somebody so stout that less arrives is exposed for longer."""
MOST_SCATTER = 1.5
"""Scatter-to-primary ratio of a stout abdomen behind a grid; what is thicker than a hand's breadth gets one."""
LEAST_KEPT = 1.0 / (1.0 + MOST_SCATTER)
"""Of a contrast, behind that much scatter."""
SEEN = 4.0
"""By how many times bones stand out from a pixel's noise where the subject is thickest: less is exposed again."""

TEXTURED_DEPTH = 2.0
"""Optical depth from which on texture gets no stronger."""
TEXTURED_CONTRAST = 4.0
"""The same, in units of the bones' contrast: an infant's pelvis, a third as dense as an adult's, was lost in it."""


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """One exposure's settings. `photons` per pixel behind the subject, on average, as automatic exposure control brings
    them about; `blur` in pixels; the others have no unit.
    """

    photons: float
    scatter: float = 0.0
    blur: float = 0.0
    texture: float = 0.0
    unevenness: float = 0.0


def draw_exposure(random: np.random.Generator, recipe: DetectorRecipe) -> Exposure:
    """Draw one exposure's settings from the recipe's ranges."""
    grid = random.random() < recipe.grid
    return Exposure(
        photons=float(np.exp(random.uniform(*np.log(recipe.photons)))),
        scatter=random.uniform(*recipe.scatter) * (GRID_TRANSMITS if grid else 1.0),
        blur=random.uniform(*recipe.blur),
        texture=_mostly_small(random, recipe.texture),
        unevenness=_mostly_small(random, recipe.unevenness),
    )


def expose(
    optical_depth: Map,
    exposure: Exposure,
    random: np.random.Generator,
    field: Map | None = None,
    *,
    contrast: float = math.inf,
) -> Map:
    """What the detector reports: the apparent optical depth -ln(I / I0), bright where bone is.

    Args:
        optical_depth: (H, W) float32, not negative.
        exposure: the settings.
        random: for the noise, the texture and the field.
        field: (H, W) in [0, 1], the share of the beam that the collimator lets through; all of it when None.
        contrast: optical depth that bone has beyond the tissue around it: neither texture nor noise hide what is to
            be seen.

    Returns:
        (H, W) float32; below 0 where noise or an uneven field exceed I0.
    """
    depth = _textured(optical_depth, exposure.texture, contrast, random)
    primary = np.exp(-depth)
    if exposure.unevenness > 0:
        primary *= _open_field(depth.shape, exposure.unevenness, random)
    if field is not None:
        primary *= field
    arriving = primary + scattered(primary, depth, exposure.scatter)
    if exposure.blur > 0.2:
        arriving = np.asarray(cv2.GaussianBlur(arriving, (0, 0), exposure.blur), np.float32)
    behind, thickest, kept = _behind_subject(arriving, primary, depth)
    sent = max(exposure.photons / behind, (SEEN / (kept * contrast)) ** 2 / thickest)
    counted = arriving + np.sqrt(arriving / np.float32(sent)) * white(depth.shape, random)
    least = np.float32(min(LEAST_EXPOSURE, LEAST_BEHIND * thickest))
    return np.asarray(-np.log(np.maximum(counted, least)), np.float32)


def scattered(primary: Map, depth: Map, strength: float) -> Map:
    """The scattered photons (H, W), in units of I0.

    They come from where the beam meets matter: from every ray `strength` times its optical depth of its primary, at
    most MOST_SCATTER times; open air scatters nothing.
    """
    if strength <= 0:
        return np.zeros_like(primary)
    height, width = primary.shape
    source = primary * np.minimum(depth * np.float32(strength), np.float32(MOST_SCATTER))
    small = cv2.resize(source, (max(1, width // 6), max(1, height // 6)), interpolation=cv2.INTER_AREA)
    spread = cv2.GaussianBlur(small, (0, 0), max(1.0, SCATTER_REACH * max(small.shape)), borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _behind_subject(arriving: Map, primary: Map, depth: Map) -> tuple[float, float, float]:
    """Share of the photons that arrive behind the thicker parts of what is in the way, and behind the thickest: the
    chamber of the automatic exposure lies behind the spine and not behind the flanks. And the share of the contrast
    there that scatter leaves.
    """
    covered = (depth > 0.3) & (arriving > 0.0)
    if not covered.any():
        return float(arriving.mean()), float(arriving.mean()), 1.0
    behind, straight = arriving[covered][::7], primary[covered][::7]
    thickest, thick = np.percentile(behind, (15, 30))  # what is darker still may be metal, and hidden by rights
    there = behind <= thick
    return float(thick), float(thickest), max(float(straight[there].sum() / behind[there].sum()), LEAST_KEPT)


def _textured(depth: Map, strength: float, contrast: float, random: np.random.Generator) -> Map:
    """Trabeculae, vessels and lobules of fat: a relative change of the depth at all scales."""
    if strength <= 0:
        return depth
    texture = of_all_scales((depth.shape[0], depth.shape[1]), random, slope=random.uniform(0.0, 1.0))
    # Texture does not add up along a ray, it averages out; and in the small, where bones are faint, so is all else.
    most = min(TEXTURED_DEPTH, TEXTURED_CONTRAST * contrast)
    strong = np.float32(strength) * np.minimum(depth, np.float32(most))
    return np.asarray(np.maximum(depth + strong * np.clip(texture, -3.0, 3.0), np.float32(0.0)), np.float32)


def _open_field(shape: tuple[int, ...], strength: float, random: np.random.Generator) -> Map:
    """(H, W) around 1: the heel effect, weaker towards the anode's side, and a broad unevenness of the detector."""
    height, width = shape
    angle = random.uniform(0.0, 2.0 * np.pi)
    down, across = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    heel = np.float32(np.sin(angle)) * down[:, None] + np.float32(np.cos(angle)) * across[None, :]
    uneven = np.float32(strength) * (heel + np.float32(0.3) * broad((height, width), random))
    return np.asarray(np.exp(uneven - np.float32(strength)), np.float32)


def _mostly_small(random: np.random.Generator, limits: Range) -> float:
    low, high = limits
    return float(low + (high - low) * random.random() ** 2)
