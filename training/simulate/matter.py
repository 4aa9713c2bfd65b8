"""Linear attenuation coefficients in 1/m, by the beam's effective energy."""

from dataclasses import dataclass

import numpy as np

_ENERGY = np.array([30.0, 40.0, 50.0, 60.0, 80.0])
"""keV. Coefficients: NIST XCOM / X-ray mass attenuation tables, ICRU-44 soft tissue (1.06 g/cm3) and cortical bone
(1.92 g/cm3), in 1/m."""

_SOFT = np.array([40.2, 28.5, 24.0, 21.7, 19.3])
_CORTICAL = np.array([255.6, 127.8, 81.4, 60.4, 42.8])


@dataclass(frozen=True, kw_only=True)
class Matter:
    """Attenuation in 1/m. `compact`, `spongy` and `gas` are what bone and gas have more than the soft tissue that they
    displace, so that everything adds up along a ray; gas is negative.
    """

    soft: float
    compact: float
    spongy: float
    gas: float


def matter(energy: float, *, spongy_share: float, mineral: float) -> Matter:
    """Matter for an effective energy in keV (30 to 80).

    Args:
        energy: of a monochromatic beam that would be attenuated alike; about 40 at 55 kV, 60 at 100 kV.
        spongy_share: share of compact bone in spongy bone, 0.1 to 0.35 (bone volume fraction, Hildebrand et al. 1999).
        mineral: factor of the bone's excess attenuation.
    """
    soft = float(np.exp(np.interp(energy, _ENERGY, np.log(_SOFT))))
    bone = (float(np.exp(np.interp(energy, _ENERGY, np.log(_CORTICAL)))) - soft) * mineral
    return Matter(soft=soft, compact=bone, spongy=bone * spongy_share, gas=-soft)


def scaled(matter: Matter, size: float) -> Matter:
    """Matter for somebody `size` times as large as the geometry: lengths count for so much less."""
    return Matter(
        soft=matter.soft * size, compact=matter.compact * size, spongy=matter.spongy * size, gas=matter.gas * size
    )
