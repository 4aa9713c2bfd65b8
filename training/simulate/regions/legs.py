"""What the views of the lower limb share: names of bones, sides, directions."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Direction = tuple[float, float, float]

PIECES = r"(\..*)?"
"""A bone and its epiphyses."""


def tarsus(which: str) -> str:
    """The bones of the hind- and midfoot."""
    return rf"(talus|calcaneus|navicular|cuboid|cuneiform\d)_{which}{PIECES}"


def forefoot(which: str) -> str:
    """Metatarsals and toes."""
    return rf"(metatarsal|toe_proximal|toe_middle|toe_distal)\d_{which}{PIECES}"


def lower_leg(which: str) -> str:
    """Tibia and fibula."""
    return rf"(tibia|fibula)_{which}{PIECES}"


def thigh(which: str) -> str:
    """Femur and patella."""
    return rf"(femur|patella)_{which}{PIECES}"


def around(axis: str, degrees: float, start: Direction) -> Direction:
    """`start` turned about the atlas's z (`up`) or y (`front`) axis."""
    angle = np.deg2rad(degrees)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    x, y, z = start
    if axis == "up":
        return (cos * x - sin * y, sin * x + cos * y, z)
    return (cos * x + sin * z, y, -sin * x + cos * z)
