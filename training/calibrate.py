"""Temperature and thresholds, from rows that no weight was learned from.

Every choice is made for the source that does worst, not for the average: the sources at hand are few and easier than
the next hospital, and a mean over them would be ruled by whichever gave most images.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dicom_node.model.card import Thresholds
from training.manifest import OOD, Row
from training.metrics import Bools, Floats, softmax
from training.recipe import CalibrateRecipe
from training.rejection import Rejection, Statistic, auroc, energy, evidence

FEW = 30
"""A source with fewer rows than this decides nothing on its own."""

CANDIDATES = np.concatenate([np.arange(0.5, 0.99, 0.01), np.arange(0.99, 0.9996, 0.001)])


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature (Guo et al. 2017, section 4.2) that minimises the cross-entropy, by LBFGS.

    Args:
        logits: (N, 14).
        targets: (N,), all at least 0.

    Returns:
        Between 0.05 and 20.
    """
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    logits = logits.double()
    optimiser = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        # The bound keeps rows that are all right (best temperature: 0) from running away.
        bounded = log_temperature.clamp(np.log(0.05), np.log(20.0))
        loss = torch.nn.functional.cross_entropy(logits / bounded.exp(), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return float(log_temperature.detach().clamp(np.log(0.05), np.log(20.0)).exp())


def worst_temperature(logits: Tensor, targets: Tensor, rows: Sequence[Row]) -> float:
    """The largest temperature that any source with enough rows, or all of them together, asks for."""
    inside = targets >= 0
    parts = [inside, *(inside & torch.from_numpy(mask) for mask in _masks([row.source for row in rows]))]
    return max(fit_temperature(logits[part], targets[part]) for part in parts if part.sum() >= FEW or part is inside)


def choose_rejection(
    candidates: Mapping[Statistic, Rejection],
    embeddings: Floats,
    logits: Floats,
    rows: Sequence[Row],
    recipe: CalibrateRecipe,
) -> tuple[Rejection, dict[str, Any]]:
    """The statistic that the recipe names, or with `auto` the one whose worst out-of-domain kind has the best AUROC;
    kinds of few rows count as one.

    Without out-of-domain rows there is nothing to choose by, and `auto` means energy, which needs no parameters.

    Args:
        candidates: each statistic with parameters that were fitted on rows which are not among these.
        embeddings: (N, 512).
        logits: (N, 14), calibrated.
        rows: their N rows, which no weight was learned from.
        recipe: `reject` is read.

    Returns:
        The choice, and the evidence for each statistic (`rejection.evidence`).
    """
    targets = np.array([row.target for row in rows])
    probabilities = softmax(logits)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    found: dict[str, Any] = {
        name: evidence(each.score(embeddings, logits), confidence, right, targets, [row.region for row in rows])
        for name, each in candidates.items()
    }
    if recipe.reject != "auto":
        return candidates[recipe.reject], found
    if not (targets == OOD).any():
        return candidates["energy"], found
    kinds = _large_enough([mask & (targets == OOD) for mask in _masks([row.region for row in rows])])
    for name, each in candidates.items():
        score = each.score(embeddings, logits)
        found[name]["auroc_worst"] = min(auroc(score[kind], score[targets >= 0]) for kind in kinds)
    best = max(candidates, key=lambda name: (found[name]["auroc_worst"], found[name]["auroc"]))
    return candidates[best], found


def choose_thresholds(
    logits: Floats,
    rows: Sequence[Row],
    recipe: CalibrateRecipe,
    *,
    statistic: Statistic = "energy",
    scores: Floats | None = None,
) -> Thresholds:
    """The loosest thresholds that keep the recipe's promises on these rows.

    First `min_confidence`: the lowest at which, in every source, `target_accuracy` of the tagged are right. Then
    `reject_above`: the highest score at which at most `ood_tagged` of every source's every kind of out-of-domain rows
    are tagged. Sources of few rows count as one, and so do kinds.

    Args:
        logits: (N, 14), calibrated.
        rows: their N rows.
        recipe: the promises.
        statistic: what `scores` are.
        scores: (N,), higher = stranger; the energy of the logits when absent.
    """
    probabilities = softmax(logits)
    targets = np.array([row.target for row in rows])
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    sources = [mask & (targets >= 0) for mask in _masks([row.source for row in rows])]
    floor = _lowest_confidence(confidence, right, _large_enough(sources), recipe)
    kinds = _large_enough([mask & (targets == OOD) for mask in _masks([f"{row.source} {row.region}" for row in rows])])
    strange = energy(logits) if scores is None else scores
    limits = [_highest_score(strange[mask], confidence[mask] >= floor, recipe.ood_tagged) for mask in kinds]
    highest = float(strange.max()) + 1.0 if len(strange) else 0.0
    return Thresholds(min_confidence=floor, reject_statistic=statistic, reject_above=min([highest, *limits]))


def _lowest_confidence(confidence: Floats, right: Bools, sources: list[Bools], recipe: CalibrateRecipe) -> float:
    for candidate in CANDIDATES[recipe.min_confidence <= CANDIDATES]:
        tagged = [mask & (confidence >= candidate) for mask in sources]
        if all(not mask.any() or right[mask].mean() >= recipe.target_accuracy for mask in tagged):
            return round(float(candidate), 4)
    return max(recipe.min_confidence, round(float(CANDIDATES[-1]), 4))


def _highest_score(strange: Floats, confident: Bools, share: float) -> float:
    """The limit that leaves at most `share` of the rows both confident and below it."""
    scores = np.sort(strange[confident])
    allowed = int(share * len(strange))
    return float("inf") if len(scores) <= allowed else float(np.nextafter(scores[allowed], -np.inf))


def _large_enough(kinds: list[Bools]) -> list[Bools]:
    """Those of FEW rows and more, and the others as one: of a dozen rows alone, not a single one might be tagged."""
    few = [mask for mask in kinds if 0 < mask.sum() < FEW]
    return [mask for mask in kinds if mask.sum() >= FEW] + ([np.logical_or.reduce(few)] if few else [])


def _masks(names: Sequence[str]) -> list[Bools]:
    """One mask over the rows for each distinct name."""
    array = np.array(names)
    return [array == name for name in sorted(set(names))]
