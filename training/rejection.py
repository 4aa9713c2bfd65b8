"""Four ways to tell that an image shows none of the regions, and the evidence to choose between them.

Each gives a score per image, higher = stranger, from what the head sees anyway; whichever is chosen becomes the model
file's `reject_score`, with its parameters in the graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from training.metrics import Bools, Floats, Ints

Statistic = Literal["energy", "max_probability", "mahalanobis", "knn"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)

BANK_PER_REGION = 64
"""Embeddings of each region that k-nearest-neighbour distance compares with: 1.8 MB in the file for 14 regions."""

NEIGHBOURS = 5
SHRINK = 0.1
"""Share of the mean variance added to the covariance, so that directions which the data hardly shows cannot rule."""


def _nothing() -> npt.NDArray[np.float32]:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rejection:
    """A statistic with its parameters.

    - `energy`: -logsumexp of the calibrated logits (Liu et al. 2020, arXiv 2010.03759); no parameters.
    - `max_probability`: minus the largest probability (Hendrycks and Gimpel 2017, arXiv 1610.02136); none.
    - `mahalanobis`: least squared distance to a region's mean under the covariance that all regions share (Lee et al.
      2018, arXiv 1807.03888); `centre` (D,), `projection` (D, D) that whitens, `means` (K, D) after both.
    - `knn`: 1 - cosine similarity to the k-th nearest of known embeddings (Sun et al. 2022, arXiv 2204.06507); `bank`
      (M, D) of unit length, `k`.
    """

    statistic: Statistic = "energy"
    centre: npt.NDArray[np.float32] = field(default_factory=_nothing)
    projection: npt.NDArray[np.float32] = field(default_factory=_nothing)
    means: npt.NDArray[np.float32] = field(default_factory=_nothing)
    bank: npt.NDArray[np.float32] = field(default_factory=_nothing)
    k: int = NEIGHBOURS

    def score(self, embeddings: Floats, logits: Floats) -> Floats:
        """(N, D) embeddings and (N, 14) calibrated logits -> (N,), higher = stranger."""
        match self.statistic:
            case "energy":
                return energy(logits)
            case "max_probability":
                top = logits.max(axis=1, keepdims=True)
                return np.asarray(-1.0 / np.exp(logits - top).sum(axis=1))
            case "mahalanobis":
                white = (embeddings - self.centre) @ self.projection
                lengths = (white**2).sum(axis=1, keepdims=True)
                distances = lengths - 2.0 * white @ self.means.T + (self.means**2).sum(axis=1)
                return np.asarray(distances.min(axis=1))
            case "knn":
                cosines = _directions(embeddings) @ self.bank.T
                return np.asarray(1.0 - np.partition(cosines, -self.k, axis=1)[:, -self.k])

    def state(self) -> dict[str, Any]:
        """Plain values, as a run folder keeps them."""
        arrays = {name: getattr(self, name).tolist() for name in ("centre", "projection", "means", "bank")}
        return {"statistic": self.statistic, "k": self.k, **arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The inverse of `state`."""
        arrays = {name: np.array(state[name], np.float32) for name in ("centre", "projection", "means", "bank")}
        return cls(statistic=state["statistic"], k=int(state["k"]), **arrays)


def energy(logits: Floats) -> Floats:
    """(N, 14) calibrated logits -> (N,) free energy (Liu et al. 2020, arXiv 2010.03759); higher = stranger."""
    top = logits.max(axis=1)
    return np.asarray(-(top + np.log(np.exp(logits - top[:, None]).sum(axis=1))))


def fit_rejection(statistic: Statistic, embeddings: Floats, targets: Ints, *, seed: int = 0) -> Rejection:
    """The parameters of a statistic from embeddings (N, D) of known regions; targets below 0 are left out."""
    inside = targets >= 0
    x, y = np.asarray(embeddings[inside], np.float64), targets[inside]
    if statistic == "mahalanobis":
        return _fit_mahalanobis(x, y)
    if statistic == "knn":
        random = np.random.default_rng(seed)
        chosen = [random.permutation(np.flatnonzero(y == region))[:BANK_PER_REGION] for region in np.unique(y)]
        bank = _directions(x[np.concatenate(chosen)])
        return Rejection(statistic="knn", bank=bank.astype(np.float32), k=min(NEIGHBOURS, len(bank)))
    return Rejection(statistic=statistic)


def _fit_mahalanobis(x: Floats, y: Ints) -> Rejection:
    regions = np.unique(y)
    means = np.stack([x[y == region].mean(axis=0) for region in regions])
    within = x - means[np.searchsorted(regions, y)]
    covariance = within.T @ within / len(x)
    values, vectors = np.linalg.eigh(covariance)
    floor = SHRINK * max(float(values.mean()), 1e-12)
    projection = vectors / np.sqrt(np.maximum(values, 0.0) * (1.0 - SHRINK) + floor)
    centre = x.mean(axis=0)
    return Rejection(
        statistic="mahalanobis",
        centre=centre.astype(np.float32),
        projection=projection.astype(np.float32),
        means=((means - centre) @ projection).astype(np.float32),
    )


def _directions(embeddings: Floats) -> Floats:
    return np.asarray(embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12))


def auroc(strange: Floats, known: Floats) -> float:
    """The chance that a strange image scores higher than a known one, ties counting half."""
    order = np.sort(known)
    below, upto = np.searchsorted(order, strange, "left"), np.searchsorted(order, strange, "right")
    return float((below + upto).mean() / 2 / len(known))


def evidence(score: Floats, confidence: Floats, right: Bools, targets: Ints, kinds: Sequence[str]) -> dict[str, Any]:
    """What speaks for a statistic, on rows that no weight was learned from.

    Args:
        score: (N,), higher = stranger.
        confidence: (N,) calibrated probability of the proposal.
        right: (N,) whether the proposal is right.
        targets: (N,); below 0: out of domain.
        kinds: (N,) the regions' names, `ood:<kind>` for those.

    Returns:
        `auroc` of strange against known rows, all and per kind; `ood_kept_at_95`: share of strange rows that pass the
        limit which 95 % of the known pass; `risk_at_80`: share wrong among the 80 % of known rows with the lowest
        score; `aurc`: that share averaged over all coverages; the same with the confidence as the order.
    """
    known, names = targets >= 0, np.array(kinds)
    limit = float(np.quantile(score[known], 0.95))
    strange = {kind: score[names == kind] for kind in sorted(set(names[~known]))}
    return {
        "auroc": auroc(score[~known], score[known]) if (~known).any() else None,
        "auroc_per_kind": {kind: auroc(values, score[known]) for kind, values in strange.items()},
        "ood_kept_at_95": float((score[~known] <= limit).mean()) if (~known).any() else None,
        **_risk(score[known], right[known], ""),
        **_risk(-confidence[known], right[known], "_by_confidence"),
    }


def _risk(order: Floats, right: Bools, suffix: str) -> dict[str, float]:
    wrong = ~right[np.argsort(order, kind="stable")]
    risks = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    return {
        f"risk_at_80{suffix}": float(risks[max(0, round(0.8 * len(risks)) - 1)]),
        f"aurc{suffix}": float(risks.mean()),
    }
