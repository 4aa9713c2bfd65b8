"""What a simulation may draw: every share, strength and range that an ablation may change, read from [simulate]."""

from dataclasses import dataclass, field
from typing import Literal

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class DetectorRecipe:
    """The exposure; see `training.simulate.detector`.

    `scatter`: scatter-to-primary ratio per unit of mean optical depth, before the grid. `grid`: share of exposures
    with one. `photons`: detected per pixel behind the subject. `blur`: sigma of focal spot, motion and detector, in
    pixels. `texture`: relative strength of the fine structure that a mesh does not have. `unevenness`: of the open
    field, as a fraction.
    """

    scatter: Range = (0.1, 0.7)
    grid: float = 0.5
    photons: Range = (1e4, 2e6)
    blur: Range = (0.0, 0.9)
    texture: Range = (0.0, 0.12)
    unevenness: Range = (0.0, 0.3)


@dataclass(frozen=True, kw_only=True)
class ToneRecipe:
    """Shares in [0, 1] of the pictures that a step of `training.simulate.tone` works on."""

    badly_windowed: float = 0.12
    film: float = 0.3
    processed: float = 0.7
    local_equalisation: float = 0.25
    equalisation: float = 0.12
    scanned: float = 0.15
    inverted: float = 0.08
    grain: float = 0.3
    posterised: float = 0.03
    compressed: float = 0.3


@dataclass(frozen=True, kw_only=True)
class SurroundingsRecipe:
    """Shares in [0, 1] of the pictures that have it; see `training.simulate.surroundings`.

    `two_views` is the share of images that show two views of one region.
    """

    collimated: float = 0.55
    shuttered: float = 0.5
    cropped: float = 0.6
    film_edge: float = 0.18
    border: float = 0.08
    side_marker: float = 0.6
    words: float = 0.15
    arrows: float = 0.05
    ruler: float = 0.06
    gauges: float = 0.08
    label_box: float = 0.08
    text_rows: float = 0.08
    grid_lines: float = 0.02
    table: float = 0.08
    photographed: float = 0.05
    two_views: float = 0.06


@dataclass(frozen=True, kw_only=True)
class HeaderRecipe:
    """Headers of DICOM objects: shares without and with a wrong body part, and of MONOCHROME1.

    `absent` and `wrong` are at most 1 together; the rest is right.
    """

    absent: float = 0.2
    wrong: float = 0.1
    monochrome1: float = 0.2


@dataclass(frozen=True, kw_only=True)
class SimulateRecipe:
    """One simulation. A share or strength of 0 switches a randomisation off.

    `size`: longest side of a picture, in pixels. `regions`: only these; all when empty. `out_of_domain`: share of
    images that show none of the regions. `shapes`: one body or many. `pose`: strength in [0, 1] of the tilt of beams
    and the turn of pictures about what a view asks for; how joints are bent is the view's own matter. `to_the_part`:
    share of pictures, of views without a shape of their own, about as narrow as what they show; the others are square.
    `children`: share of subjects that still grow. `fractures`: share of pictures with a broken bone. `hardware`: share
    of images with implants, casts or things that were worn. The sections are those of the exposure, the tone, the
    surroundings and DICOM headers.
    """

    size: int = 160
    regions: tuple[str, ...] = ()
    out_of_domain: float = 0.07
    shapes: Literal["many", "one"] = "many"
    pose: float = 1.0
    to_the_part: float = 0.75
    children: float = 0.3
    fractures: float = 0.12
    hardware: float = 0.15
    detector: DetectorRecipe = field(default_factory=DetectorRecipe)
    tone: ToneRecipe = field(default_factory=ToneRecipe)
    surroundings: SurroundingsRecipe = field(default_factory=SurroundingsRecipe)
    headers: HeaderRecipe = field(default_factory=HeaderRecipe)


BARE_DETECTOR = DetectorRecipe(
    scatter=(0.0, 0.0), grid=0.0, photons=(1e12, 1e12), blur=(0.0, 0.0), texture=(0.0, 0.0), unevenness=(0.0, 0.0)
)
"""Beer and Lambert alone."""

BARE_TONE = ToneRecipe(
    badly_windowed=0.0,
    film=0.0,
    processed=0.0,
    local_equalisation=0.0,
    equalisation=0.0,
    scanned=0.0,
    inverted=0.0,
    grain=0.0,
    posterised=0.0,
    compressed=0.0,
)
"""A plain window and nothing else."""

BARE_SURROUNDINGS = SurroundingsRecipe(
    collimated=0.0,
    shuttered=0.0,
    cropped=0.0,
    film_edge=0.0,
    border=0.0,
    side_marker=0.0,
    words=0.0,
    arrows=0.0,
    ruler=0.0,
    gauges=0.0,
    label_box=0.0,
    text_rows=0.0,
    grid_lines=0.0,
    table=0.0,
    photographed=0.0,
    two_views=0.0,
)
"""The picture alone."""
