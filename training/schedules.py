"""Learning rates, as functions of the step alone, so that a resumed run continues exactly."""

import math


def cosine(step: int, *, total: int, base: float, warmup: float = 0.0) -> float:
    """Cosine annealing to zero over `total` steps, after a linear rise over the first `warmup` fraction of them."""
    rise = round(total * warmup)
    if step < rise:
        return base * (step + 1) / rise
    return base * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, total - rise)))
