"""One invented person: age, sex, build, proportions, bones. Spreads are published ones where a source is named."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.simulate.skeleton import Bone, Skeleton

Array = npt.NDArray[np.float64]

NECK = (*(f"c{number}" for number in range(1, 8)), "t1", "t2", "t3", "t4", "t5")
PARALLEL = {"ulna": "radius", "fibula": "tibia"}
"""Bones that are as long as the one beside them."""
FULL_GROWN = 17.0
"""Age in years from which the growth plates are taken as closed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """`age` in years; `build`: factor of the soft tissue's thickness; `mineral`: factor of the bones' attenuation;
    `thickness`: factor of the cortex; `wear`: 0 to 1, arthritis-like; `sizes`: length and width of each bone against
    the atlas's; `waves`: direction (K, 3) in 1/m, phase (K,) and amplitude (K, 3) in m of the body's smooth
    deformation.
    """

    age: float = 40.0
    female: bool = False
    build: float = 1.0
    mineral: float = 1.0
    thickness: float = 1.0
    wear: float = 0.0
    sizes: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    waves: tuple[Array, Array, Array] | None = None

    @property
    def child(self) -> bool:
        """Whether growth plates are open."""
        return self.age < FULL_GROWN

    def warped(self, points: Array) -> Array:
        """Points (N, 3) of the atlas -> where this subject has them: a sum of plane waves, the same for every bone, so
        that joints still fit.
        """
        if self.waves is None:
            return points
        # In single precision numpy's sine is vectorised, ten times as fast; the waves are good to a micrometre.
        direction, phase, amplitude = (wave.astype(np.float32) for wave in self.waves)
        moved: Array = points + np.sin(points.astype(np.float32) @ direction.T + phase) @ amplitude
        return moved

    def cortex(self, bone: Bone) -> float | Array:
        """Thickness of the compact bone in m: a fifth of a long bone's half width, a thin shell elsewhere.

        The femur's cortex at mid-shaft is 6 to 8 mm of 28 (Treece et al. 2010), a vertebra's 0.4 mm (Ritzel et al.
        1997).
        """
        if bone.hollow:
            return self._vault(bone)
        return self.thickness * {"long": 0.0022, "rib": 0.0009, "flat": 0.0014, "vertebra": 0.0007}.get(
            bone.kind, 0.0008
        )

    def _vault(self, bone: Bone) -> Array:
        """The skull's, at each vertex (V,): the vault's 6 mm (Lynnerup 2001), a third of them diploe, so 4 of compact
        bone; the face is as thin as paper; a child's reach a third of that in the first year.
        """
        _, y, z = bone.mesh.vertices.astype(np.float64).T
        facial = 1.0 / (1.0 + np.exp(-np.minimum(y + 0.085, 1.595 - z) / 0.006))
        grown = 0.3 + 0.7 * min(1.0, self.age / FULL_GROWN)
        thickness: Array = (0.5 + 0.5 * self.thickness) * grown * (0.0046 - 0.0025 * facial)
        return thickness

    def fleshiness(self, bone: Bone) -> float:
        """Factor of the radius of the soft tissue around the bone; fingers, toes and neck vary less than limbs, the
        head not at all.
        """
        if bone.hollow:
            return 1.0
        return 1.0 + (self.build - 1.0) * (0.5 if bone.flesh[0, 3] < 0.02 or bone.name in NECK else 1.0)


def draw_subject(
    skeleton: Skeleton, random: np.random.Generator, *, child: bool, many: bool, infant: bool = False
) -> Subject:
    """Invent somebody.

    Bones' lengths vary with a standard deviation of 4 % (hand: 4 to 6 % in Buryanov and Kotiuk 2010; long limb bones: 5
    to 6 % in Trotter and Gleser 1952), widths with 5 %, women's 6 % narrower; both sides nearly alike, and what lies
    side by side in forearm and lower leg too.
    """
    age = float(random.triangular(1.0, 9.0, FULL_GROWN) if child else random.uniform(FULL_GROWN, 90.0))
    if infant:
        age = float(random.uniform(0.1, 1.4))
    if not many:
        return Subject(age=age)
    female = bool(random.random() < 0.5)
    slender = float(random.normal(-0.03 if female else 0.03, 0.06))
    old = max(0.0, (age - 50.0) / 40.0)
    return Subject(
        age=age,
        female=female,
        build=float(np.exp(random.normal(0.05, 0.28))),
        mineral=float(random.uniform(0.6, 1.25) * (1.0 - 0.25 * old) * (0.8 if child else 1.0)),
        thickness=float(random.uniform(0.55, 1.45) * (1.0 - 0.2 * old)),
        wear=float(random.beta(1.0 + 3.0 * old, 3.0) * (not child)),
        sizes=_sizes(skeleton, slender, random),
        waves=_waves(random),
    )


def _sizes(skeleton: Skeleton, slender: float, random: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Length and width of each bone: left and right differ by 0.7 % (Auerbach and Ruff 2006: asymmetry of 1 % and
    less), the fibula's length from the tibia's by as much.
    """
    names = list(skeleton.bones)
    stems = [name.removesuffix("_r").removesuffix("_l") for name in names]
    kinds = list(dict.fromkeys(stems))
    shared = dict(zip(kinds, random.normal(0.0, (0.04, 0.05), (len(kinds), 2)), strict=True))
    for stem, beside in PARALLEL.items():
        shared[stem][0] = shared[beside][0]
    sides = np.array([shared[stem] for stem in stems]) + random.normal(0.0, (0.007, 0.012), (len(names), 2))
    sides[:, 1] += slender
    return {name: (float(long), float(wide)) for name, (long, wide) in zip(names, np.exp(sides), strict=True)}


def _waves(random: np.random.Generator, count: int = 8) -> tuple[Array, Array, Array]:
    """Waves of 4 to 60 cm; the amplitude is such that no length along them changes by more than about 10 %."""
    length = np.exp(random.uniform(np.log(0.04), np.log(0.6), count))
    direction = random.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    wave = 2 * np.pi / length
    strength = random.uniform(0.0, 0.1 / np.sqrt(count), count) * 2.0
    amplitude = random.normal(size=(count, 3))
    amplitude *= (strength / wave / np.linalg.norm(amplitude, axis=1))[:, None]
    return direction * wave[:, None], random.uniform(0.0, 2 * np.pi, count), amplitude
