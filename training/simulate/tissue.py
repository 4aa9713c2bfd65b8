"""Soft tissue that is another in everybody: how thick, where around the bone, and how much of it is fat.

The atlas has bones alone. Its soft tissue is a union of balls that the bones carry, the same for all; a network that
learned from one such body for all takes what lies around a bone for the bone itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.simulate.skeleton import Bone

Array = npt.NDArray[np.float64]

NECK = (*(f"c{number}" for number in range(1, 8)), "t1", "t2", "t3", "t4", "t5")
SMALL = 0.02
"""Radius in m below which soft tissue varies half as much: fingers and toes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tissue:
    """`build`: factor of the thickness. `fat`: the outer share of the thickness that is fat. `waves`: direction (K, 3)
    in 1/m, phase (K,) and amplitude (K, 4) of what varies along the body: the place of a ball in its radii, and the
    logarithm of its radius.
    """

    build: float = 1.0
    fat: float = 0.0
    waves: tuple[Array, Array, Array] | None = None

    def around(self, bones: Sequence[Bone]) -> Array:
        """The balls (B, 4), centre and radius in m, that these bones carry in this body, still in the atlas's shape."""
        balls = np.concatenate([bone.flesh for bone in bones])
        yielding = np.repeat([_yielding(bone) for bone in bones], [len(bone.flesh) for bone in bones])
        centre, radius = balls[:, :3], balls[:, 3] * (1.0 + (self.build - 1.0) * yielding)
        if self.waves is not None:
            direction, phase, amplitude = self.waves
            wave = yielding[:, None] * (np.sin(centre @ direction.T + phase) @ amplitude)
            radius = radius * np.exp(wave[:, 3])
            centre = centre + radius[:, None] * wave[:, :3]
        return np.column_stack([centre, radius])


def draw_tissue(random: np.random.Generator, strength: float) -> Tissue:
    """Somebody's; `strength` in [0, 1] of everything but the build.

    Fat takes from 3 to 40 % of the radius, more in the stout. Along the body the radius varies by 18 %, the place by
    15 % of it. No published spreads: wider than people differ, so that what lies around a bone says little of which.
    """
    build = float(np.exp(random.normal(0.05, 0.33)))
    fat = float(np.clip(random.uniform(0.03, 0.28) * build, 0.03, 0.4))
    return Tissue(build=build, fat=strength * fat, waves=_waves(random, strength))


def _waves(random: np.random.Generator, strength: float, count: int = 6) -> tuple[Array, Array, Array]:
    """Waves of 8 to 60 cm: muscles swell and end over as much."""
    length = np.exp(random.uniform(np.log(0.08), np.log(0.6), count))
    direction = random.normal(size=(count, 3))
    direction *= (2 * np.pi / length / np.linalg.norm(direction, axis=1))[:, None]
    # A sine's standard deviation is 0.7, and those of independent waves add up as squares.
    spread = strength * np.array([0.15, 0.15, 0.15, 0.18]) / np.sqrt(count / 2)
    return direction, random.uniform(0.0, 2 * np.pi, count), random.normal(size=(count, 4)) * spread


def _yielding(bone: Bone) -> float:
    """How much the soft tissue around a bone varies: fingers, toes and neck less than limbs, the head not at all."""
    if bone.hollow or not len(bone.flesh):
        return 0.0
    return 0.75 if bone.flesh[0, 3] < SMALL or bone.name in NECK else 1.0
