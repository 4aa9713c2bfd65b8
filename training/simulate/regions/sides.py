"""Right and left."""

import numpy as np


def either(random: np.random.Generator) -> str:
    """`r` or `l`."""
    return "r" if random.random() < 0.5 else "l"


def outward(side: str) -> float:
    """Sign of x away from the middle: the right side has positive x."""
    return 1.0 if side == "r" else -1.0
