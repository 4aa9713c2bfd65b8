"""Fingers: straightened from the atlas's half-closed hand, then bent and spread."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from training.simulate.pose import ANTERIOR, LATERAL, aligning, turn
from training.simulate.skeleton import Skeleton

Array = npt.NDArray[np.float64]

RAYS = (2, 3, 4, 5)


def straight(skeleton: Skeleton, side: str) -> dict[str, Array]:
    """Turns (3, 3) that lay every phalanx of the four fingers along its metacarpal; `side` is `r` or `l`."""
    turns = {}
    for ray in RAYS:
        for child, parent in (("proximal", "metacarpal"), ("middle", "proximal"), ("distal", "middle")):
            own, above = skeleton[f"{child}{ray}_{side}"], skeleton[f"{parent}{ray}_{side}"]
            turns[own.name] = aligning(own.axes[0], above.axes[0])
    return turns


def bent(
    skeleton: Skeleton,
    side: str,
    flexion: Mapping[str, tuple[float, float]],
    spread: tuple[float, float],
    random: np.random.Generator,
) -> dict[str, Array]:
    """Fingers bent from straight.

    Args:
        skeleton: whose fingers.
        side: `r` or `l`.
        flexion: `proximal`, `middle`, `distal` -> range in degrees at that joint; each finger draws its own within a
            fifth of the range around a common value.
        spread: range in degrees between neighbouring fingers.
        random: the chance.
    """
    turns = straight(skeleton, side)
    common, fan, palm = float(random.uniform()), float(random.uniform(*spread)), float(random.normal(0.5, 1.0))
    outward = -1.0 if side == "r" else 1.0
    for ray in RAYS:
        for joint, (low, high) in flexion.items():
            name = f"{joint}{ray}_{side}"
            share = np.clip(common + random.normal(0.0, 0.1), 0.0, 1.0)
            turns[name] = turn(LATERAL, float(low + share * (high - low))) @ turns[name]
        # The palm opens and closes too, by a degree or two for each ray.
        across = outward * palm * (3.5 - ray) + random.normal(0.0, 1.0)
        turns[f"metacarpal{ray}_{side}"] = turn(ANTERIOR, float(across)) @ turn(LATERAL, float(random.normal(0.0, 2.0)))
        name = f"proximal{ray}_{side}"
        sideways = outward * fan * (3.5 - ray) + random.normal(0.0, 1.5)
        turns[name] = turn(ANTERIOR, float(sideways)) @ turns[name]
    return turns


def folded(side: str, keep: tuple[int, ...], random: np.random.Generator) -> dict[str, Array]:
    """What bends every finger but `keep` out of the way, to be put before the turns that straighten it."""
    fold = {"proximal": random.uniform(45, 85), "middle": random.uniform(60, 105), "distal": random.uniform(20, 60)}
    return {
        f"{joint}{ray}_{side}": turn(LATERAL, float(degrees + random.normal(0.0, 5.0)))
        for joint, degrees in fold.items()
        for ray in RAYS
        if ray not in keep
    }


def thumb(
    skeleton: Skeleton,
    side: str,
    random: np.random.Generator,
    *,
    away: tuple[float, float] = (18.0, 55.0),
    forward: tuple[float, float] = (-5.0, 30.0),
    flexion: tuple[float, float] = (-12.0, 18.0),
) -> dict[str, Array]:
    """The thumb's turns, in degrees: how far `away` from the hand's axis its metacarpal points in the palm's plane and
    how far `forward` out of it, and the `flexion` of its two joints.

    The atlas's half-closed thumb is straightened first. It is seen half from the side on a hand that lies flat.
    """
    out = 1.0 if side == "r" else -1.0
    a, f = np.deg2rad([random.uniform(*away), random.uniform(*forward)])
    wanted = np.array([out * np.sin(a) * np.cos(f), np.sin(f), -np.cos(a) * np.cos(f)])
    root, first, last = (skeleton[f"{bone}1_{side}"] for bone in ("metacarpal", "proximal", "distal"))
    roll = turn(wanted, out * float(random.normal(0.0, 12.0)))
    # Flexion brings the tip towards the palm's middle, about an axis between forward and the thumb's own breadth.
    bend = np.cross(root.axes[0], np.array([-0.6 * out, 0.8, 0.0]))
    degrees = random.uniform(*flexion, 2)
    return {
        root.name: roll @ aligning(root.axes[0], wanted),
        first.name: turn(bend, float(degrees[0])) @ aligning(first.axes[0], root.axes[0]),
        last.name: turn(bend, float(degrees[1])) @ aligning(last.axes[0], first.axes[0]),
    }
