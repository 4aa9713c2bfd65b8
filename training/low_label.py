"""What few labels are worth: the same model measured with more and more of them, by seeds, no patient on both sides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dicom_node.model.card import Thresholds
from training.adapt import Seen, adapt, logits_of
from training.errors import TrainingError
from training.graph import Head
from training.metrics import Bools, Floats, Ints, softmax, summary
from training.recipe import Recipe
from training.rejection import energy

FEW_STEPS = 500
"""With fewer a network from scratch has only begun to learn, and being ahead of it says little."""

COUNTS = ("labels", "n", "steps")
"""Columns of whole numbers."""

MOST = 0.5
"""Of a region's groups at most this share is labelled, so that the others can be measured on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Embeddings (N, D), reject scores (N,), targets (N,) and groups (N,) of images, as one model file sees them."""

    embeddings: Floats
    scores: Floats
    targets: Ints
    groups: np.ndarray[Any, Any]

    def seen(self, chosen: Ints) -> Seen:
        """The rows with these numbers, as labelled images."""
        return Seen(
            embeddings=self.embeddings[chosen],
            reject_scores=self.scores[chosen],
            targets=self.targets[chosen],
            groups=self.groups[chosen].tolist(),
        )


def few_per_region(
    targets: Ints, groups: np.ndarray[Any, Any], k: int, *, seed: int, most: int | None = None
) -> tuple[Ints, Bools]:
    """One image each of `k` groups of every region, fewer where that would be more than half of its groups.

    With `most` they are a part of what `most` groups give, and what may be measured on is the same for every k.

    Returns:
        The numbers of the chosen rows, and which rows (N,) may be measured on: those of no group that `most` chooses,
        or `k` where it is absent.
    """
    random, chosen, drawn = np.random.default_rng(seed), [], []
    for region in np.unique(targets[targets >= 0]):
        names = np.unique(groups[targets == region])
        some = random.permutation(names)[: max(1, min(most or k, int(MOST * len(names))))]
        images = [int(random.choice(np.flatnonzero((targets == region) & (groups == name)))) for name in some]
        chosen += images[:k]
        drawn += images
    return np.array(chosen, np.int64), ~np.isin(groups, groups[drawn])


def adapted_curve(
    rows: Rows,
    strangers: Floats,
    *,
    parent: Head,
    thresholds: Thresholds,
    per_region: Sequence[int],
    seeds: int,
    advance: Callable[[int], None] = lambda _n: None,
) -> list[dict[str, Any]]:
    """`adapt` on k images per region, measured on the regions' other groups and on the rows out of domain.

    The rows measured on are the same for every k of one seed: those that the largest k leaves.

    None of `strangers` should be of the kinds that the out-of-domain rows are, or their share means little.

    Returns:
        One entry for each k (0: the parent as it is), each number with mean, spread over seeds and the seeds' values.
    """
    curve = []
    for k in (0, *per_region):
        draws = [few_per_region(rows.targets, rows.groups, k, seed=seed, most=max(per_region)) for seed in range(seeds)]
        runs = [_adapted_once(rows, strangers, parent, thresholds, chosen, free) for chosen, free in draws]
        curve.append({"per_region": k, **spread(runs)})
        advance(seeds)
    return curve


def _adapted_once(
    rows: Rows, strangers: Floats, parent: Head, thresholds: Thresholds, chosen: Ints, free: Bools
) -> dict[str, float | None]:
    head, limits, scores = parent, thresholds, rows.scores
    if len(chosen):
        adapted = adapt(rows.seen(chosen), strangers, parent=parent, thresholds=thresholds)
        head, limits = adapted.head, adapted.thresholds
        scores = energy(logits_of(head, rows.embeddings)) if adapted.by_energy else rows.scores
    probabilities = softmax(logits_of(head, rows.embeddings))
    tagged = (probabilities.max(axis=1) >= limits.min_confidence) & (scores <= limits.reject_above)
    right = probabilities.argmax(axis=1) == rows.targets
    inside, strange = free & (rows.targets >= 0), rows.targets < 0
    if not inside.any():
        raise TrainingError("Every group (patient) has given a label: none is left to measure on. Give more groups.")
    measured = summary(probabilities[inside], rows.targets[inside])
    weights = _balancing(rows.targets[inside])
    return {
        "labels": float(len(chosen)),
        "n": float(inside.sum()),
        "top1": measured["top1"],
        "balanced": measured["balanced"],
        "ece": measured["ece"],
        "tagged": float(tagged[inside].mean()),
        "tagged_balanced": float((weights * tagged[inside]).sum()),
        "right_of_tagged": float(right[inside & tagged].mean()) if (inside & tagged).any() else None,
        "ood_tagged": float(tagged[strange].mean()) if strange.any() else None,
    }


def _balancing(targets: Ints) -> Floats:
    """Weights (N,) that sum to 1 and count every region alike."""
    regions, counts = np.unique(targets, return_counts=True)
    return np.asarray((1.0 / counts / len(regions))[np.searchsorted(regions, targets)])


def share_of_labels(targets: Ints, groups: np.ndarray[Any, Any], share: float, *, seed: int) -> Ints:
    """Rows of whole groups, drawn by chance, up to `share` of all; at least one group of every region."""
    random = np.random.default_rng(seed)
    names = random.permutation(np.unique(groups))
    first = [names[np.isin(names, groups[targets == region])][0] for region in np.unique(targets[targets >= 0])]
    order = [*dict.fromkeys([*first, *names])]
    taken, count = [], 0
    sizes = dict(zip(*np.unique(groups, return_counts=True), strict=True))
    for number, name in enumerate(order):
        if number >= len(set(first)) and count >= share * len(targets):
            break
        taken.append(name)
        count += int(sizes[name])
    return np.flatnonzero(np.isin(groups, taken))


def baseline(recipe: Recipe, samples: int) -> Recipe:
    """The recipe of the network from scratch beside which the probe is measured, on `samples` augmented images.

    A supervised recipe is taken as it is. A contrastive one has a batch and an augmentation that are not made for
    labels: there the batch is at most that of `[finetune]`, the augmentation that of `[probe]`, and regions are drawn
    alike, as the probe draws them. The learning rate stays, as the paper's supervised baseline has that of its
    pre-training (Langer et al. 2024, section 4.1).
    """
    plan = replace(recipe.pretrain, method="supervised", samples=samples, epochs=0)
    if recipe.pretrain.method == "supervised":
        return replace(recipe, pretrain=plan)
    plan = replace(plan, batch=min(plan.batch, recipe.finetune.batch), augment=recipe.probe.augment)
    return replace(recipe, pretrain=plan, data=replace(recipe.data, sampling="balanced"))


def spread(runs: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    """Each number's mean and standard deviation over the runs that have it, and the runs' values."""
    names = runs[0].keys()
    values = {name: [value for run in runs if (value := run[name]) is not None] for name in names}
    return {
        name: {
            "mean": float(np.mean(each)),
            "sd": float(np.std(each, ddof=1)) if len(each) > 1 else 0.0,
            "values": each,
        }
        for name, each in values.items()
        if each
    }


def markdown(curve: Sequence[Mapping[str, Any]], first: str, columns: Mapping[str, str]) -> str:
    """A table with mean ± standard deviation; `columns` maps the curve's names to headings, `first` is the row's."""
    head = [first, *columns.values()]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for each in curve:
        cells = [
            "-"
            if name not in each
            else f"{each[name]['mean']:.3f} ± {each[name]['sd']:.3f}"
            if name not in COUNTS
            else f"{each[name]['mean']:.0f}"
            for name in columns
        ]
        lines.append("| " + " | ".join([str(each["label"] if "label" in each else each["per_region"]), *cells]) + " |")
    return "\n".join(lines) + "\n"
