"""What the simulation hands from the body to the picture: optical depth, and what is known of it."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training.simulate.camera import Camera
from training.simulate.recipe import SimulateRecipe

Map = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Anchor:
    """A bone in the picture that hardware may hold to: `start` and `end` of its axis (3,) and its `radius`, in m."""

    bone: str
    start: Array
    end: Array
    radius: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Vertebra:
    """A vertebra in the picture: the `centre` of its body (3,) and its `width` in m; `axes` (3, 3): rows of length 1
    across, forward and up.
    """

    name: str
    centre: Array
    axes: Array
    width: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """`depth`: optical depth (H, W) float32 along the camera's rays, not negative. `region`: one of the 14, or
    `ood:<kind>`; `age` in years; `tissue`: attenuation of soft tissue in 1/m at the beam's energy, `metal`: that of
    metal. `contrast`: optical depth that bone has beyond the tissue around it, infinite where no bone is meant.
    `vertebrae`: those in the picture, in the order of the spine. `shown`: names of the bones that the view is about.
    `anatomy` (3, 3): rows right, down and forward of the camera in the axes of who is shown, as the view's bones have
    turned them: x to the subject's right, y forward, z up; None where no body is. `beside`: the other view on a sheet
    of two, `enlarged`: how many times larger than on the detector the picture shows this one.
    """

    depth: Map
    camera: Camera
    region: str
    view: str
    age: float
    female: bool
    tissue: float
    metal: float = 1200.0
    contrast: float = math.inf
    anchors: tuple[Anchor, ...] = ()
    vertebrae: tuple[Vertebra, ...] = ()
    shown: tuple[str, ...] = ()
    anatomy: Array | None = None
    beside: "Scene | None" = None
    enlarged: float = 1.0


class DrawScene(Protocol):
    """Whoever can invent a scene of a region."""

    def __call__(self, region: str, random: np.random.Generator, recipe: SimulateRecipe, size: int) -> Scene:
        """A scene of `size` x `size` pixels; the same generator state gives the same scene."""
        ...
