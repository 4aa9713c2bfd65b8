"""What is measured on labelled images, from probabilities alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dicom_node.model.card import LABELS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ECE_BINS = 15


def summary(probabilities: Floats, targets: Ints) -> dict[str, Any]:
    """top1, top2, balanced, per_region, ece and n, over the rows that show a region (target at least 0).

    Args:
        probabilities: (N, 14), rows sum to 1.
        targets: (N,) region index; rows below 0 (out of domain) are left out.
    """
    inside = targets >= 0
    probabilities, targets = probabilities[inside], targets[inside]
    if len(targets) == 0:
        return {"n": 0, "top1": None, "top2": None, "balanced": None, "ece": None, "per_region": {}}
    right = probabilities.argmax(axis=1) == targets
    per_region = {
        LABELS[k]: {"n": int((targets == k).sum()), "top1": float(right[targets == k].mean())}
        for k in np.unique(targets)
    }
    return {
        "n": len(targets),
        "top1": float(right.mean()),
        "top2": float(in_top(probabilities, targets, 2).mean()),
        "balanced": float(np.mean([region["top1"] for region in per_region.values()])),
        "ece": calibration_error(probabilities.max(axis=1), right),
        "per_region": per_region,
    }


def softmax(logits: Floats) -> Floats:
    """Over the last axis, without overflow."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def with_intervals(probabilities: Floats, targets: Ints, groups: Sequence[str]) -> dict[str, Any]:
    """`summary`, with 95 % bootstrap intervals over groups for top1, top2 and balanced, and for each region's top1."""
    inside = targets >= 0
    measured = summary(probabilities, targets)
    if not inside.any():
        return measured
    p, y, patients = probabilities[inside], targets[inside], np.array(groups)[inside]
    right = (p.argmax(axis=1) == y).astype(float)
    per_region = {
        LABELS[k]: {**measured["per_region"][LABELS[k]], "interval": interval(right[y == k], patients[y == k])}
        for k in np.unique(y)
    }
    return {
        **measured,
        "top1_interval": interval(right, patients),
        "top2_interval": interval(in_top(p, y, 2).astype(float), patients),
        "balanced_interval": balanced_interval(right, y, patients),
        "per_region": per_region,
    }


def balanced_interval(
    right: Floats, y: Ints, groups: npt.NDArray[np.str_], *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over regions of the share that is right, groups drawn within each region."""
    random, total = np.random.default_rng(seed), np.zeros(draws)
    regions = np.unique(y)
    for region in regions:
        _, which = np.unique(groups[y == region], return_inverse=True)
        sums, counts = np.bincount(which, weights=right[y == region]), np.bincount(which)
        chosen = random.integers(0, len(sums), (draws, len(sums)))
        total += sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.percentile(total / len(regions), (2.5, 97.5))
    return float(low), float(high)


def reliability(probabilities: Floats, targets: Ints, bins: int = ECE_BINS) -> list[dict[str, float]]:
    """The bins of the reliability diagram (Guo et al. 2017, figure 1) that have images."""
    inside = targets >= 0
    confidence = probabilities[inside].max(axis=1)
    right = probabilities[inside].argmax(axis=1) == targets[inside]
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        {
            "from": b / bins,
            "to": (b + 1) / bins,
            "n": int((which == b).sum()),
            "confidence": float(confidence[which == b].mean()),
            "right": float(right[which == b].mean()),
        }
        for b in np.unique(which).tolist()
    ]


def in_top(probabilities: Floats, targets: Ints, k: int) -> Bools:
    """(N,) whether the target is among the k most probable regions."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return np.asarray((best == targets[:, None]).any(axis=1))


def calibration_error(confidence: Floats, right: Bools, bins: int = ECE_BINS) -> float:
    """Expected calibration error (Guo et al. 2017, arXiv 1706.04599, equation 3) with bins of equal width."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    total = sum(abs(float(right[which == b].sum()) - float(confidence[which == b].sum())) for b in range(bins))
    return total / max(1, len(confidence))


def interval(values: Floats, groups: npt.NDArray[np.str_], *, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of `values` (N,), drawing whole groups (patients), not images."""
    _, which = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(which, weights=values), np.bincount(which)
    chosen = np.random.default_rng(seed).integers(0, len(sums), (draws, len(sums)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
