"""What holds a spine: pedicle screws with their rods, plates in front of the neck, cages in the discs."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from training.simulate.hardware import Capsule, Ellipsoid, Solids, screw
from training.simulate.scene import Vertebra

LUMBAR_WIDTH = 0.05
"""Width in m of the vertebral body that the sizes are for."""
LONGEST = 12
"""Most vertebrae that one instrumentation spans."""


def instrumented(vertebrae: Sequence[Vertebra], random: np.random.Generator) -> Solids:
    """Two vertebrae and more, held from behind, or from in front where it is the neck; now and then with cages.

    `vertebrae`: at least two neighbours, in the order of the spine.
    """
    count = min(len(vertebrae), int(random.choice([2, 3, 4, LONGEST], p=[0.4, 0.25, 0.15, 0.2])))
    first = int(random.integers(len(vertebrae) - count + 1))
    held = vertebrae[first : first + count]
    neck = held[0].name.startswith("c")
    made = front_plate(held, random) if neck and random.random() < 0.7 else pedicle_screws(held, random)
    if random.random() < 0.4:
        for one, other in pairwise(held[:4]):
            made += cage(one, other, random)
    return made


def pedicle_screws(held: Sequence[Vertebra], random: np.random.Generator) -> Solids:
    """Two screws into each vertebra, and a rod over either side's heads."""
    made: Solids = ()
    thick, missing = random.uniform(0.8, 1.25), random.choice([0.0, 0.1, 0.4])
    for side in (-1.0, 1.0):
        behind = []
        for each in held:
            across, forward, _ = each.axes * (each.width / LUMBAR_WIDTH)
            head = each.centre + side * across * 0.018 - forward * 0.042
            behind.append(head - forward * 0.004)
            if random.random() >= missing:
                tip = each.centre + side * across * 0.008 + forward * random.uniform(0.0, 0.012)
                made += screw(head, tip, 0.0028 * thick * each.width / LUMBAR_WIDTH)
        for one, other in pairwise(behind):
            made += (Capsule(start=one, end=other, radius=0.0027 * thick * held[0].width / LUMBAR_WIDTH),)
    return made


def front_plate(held: Sequence[Vertebra], random: np.random.Generator) -> Solids:
    """A plate on the front of the bodies with two screws into each."""
    made: Solids = ()
    before = [each.centre + each.axes[1] * 0.36 * each.width for each in held]
    for offset in np.linspace(-0.25, 0.25, 4):
        for (one, start), (other, end) in pairwise(zip(held, before, strict=True)):
            ends = start + offset * one.width * one.axes[0], end + offset * other.width * other.axes[0]
            made += (Capsule(start=ends[0], end=ends[1], radius=0.0012, weight=0.7),)
    for each, at in zip(held, before, strict=True):
        for side in (-0.2, 0.2):
            head = at + side * each.width * each.axes[0]
            made += screw(head, head - each.axes[1] * random.uniform(0.4, 0.6) * each.width, 0.0018)
    return made


def cage(upper: Vertebra, lower: Vertebra, random: np.random.Generator) -> Solids:
    """A cage in the disc between two vertebrae: a hollow block."""
    middle = (upper.centre + lower.centre) / 2
    half = upper.width * np.array([random.uniform(0.14, 0.28), random.uniform(0.14, 0.24), random.uniform(0.06, 0.1)])
    block = Ellipsoid(centre=middle, axes=upper.axes.T @ np.diag(half), weight=0.6)
    return block, Ellipsoid(centre=middle, axes=upper.axes.T @ np.diag(half * (0.6, 0.6, 1.0)), weight=-0.6)
