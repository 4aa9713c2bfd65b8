"""The head re-fitted on a few images of one's own, pulled towards the head that it starts from.

The backbone stays. A region's row moves away from the starter's by as much as its images can justify: the pull is
`STRENGTH` divided by their number, which is a Gaussian prior of fixed width around the starter's row.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from dicom_node.model.card import LABELS, Thresholds
from training.errors import TrainingError
from training.graph import Head
from training.metrics import Bools, Floats, Ints, softmax, summary
from training.rejection import energy

STRENGTH = 0.3
"""Chosen on real images (docs/TRAINING.md): best or within a standard deviation of it from 1 to 20 images a region."""

FOLDS = 10
TEMPERATURE_WIDTH = 0.3
"""Standard deviation of log temperature before any image is seen."""

TARGET_ACCURACY = 0.97
OOD_TAGGED = 0.05
KNOWN_REJECTED = 0.05
"""Share of the labelled images that the new limit may reject."""

STRANGER_WEIGHT = 1.0
"""Of outlier exposure against the cross-entropy; 0.3 and 1 did alike, both far better than none (docs/TRAINING.md)."""

ENOUGH_STRANGERS = 20
"""With fewer out-of-domain images, half of them to judge by, the parent's rejection stays as it is: 5 % of them would
be less than one.
"""

CANDIDATES = np.arange(0.5, 0.999, 0.005)


@dataclass(frozen=True, kw_only=True, eq=False)
class Adapted:
    """The new head (temperature divided out), its thresholds, and what was measured on images left out of the fit.

    `by_energy`: images are now rejected by the new head's energy; else as the parent does.
    """

    head: Head
    temperature: float
    thresholds: Thresholds
    by_energy: bool
    metrics: dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What a model file gave for the labelled images: `embeddings` (N, D) and `reject_scores` (N,), with the labels.

    `targets` (N,) are regions, below 0 out of domain; `groups` (N,) are patients, none of whom is ever on both sides of
    a fold.
    """

    embeddings: Floats
    reject_scores: Floats
    targets: Ints
    groups: Sequence[str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Strangers:
    """Out-of-domain `embeddings` (M, D), and whose each is: a patient's, or None's that the file carries."""

    embeddings: Floats
    patients: Sequence[str | None]

    def without(self, patients: Collection[str]) -> Floats:
        """The embeddings (K, D) that are of none of these patients."""
        return self.embeddings[[each not in patients for each in self.patients]]


def adapt(
    seen: Seen, strangers: Floats, *, parent: Head, thresholds: Thresholds, strength: float = STRENGTH
) -> Adapted:
    """Re-fit the head, and calibrate it on out-of-fold predictions.

    Args:
        seen: the labelled images; those out of domain join the strangers.
        strangers: (M, D) out-of-domain embeddings that the parent's file carries. Half of all are pushed towards the
            uniform distribution while fitting, the others set the limit for rejection (`split_strangers`).
        parent: the head to start from, its temperature divided out.
        thresholds: the parent's.
        strength: the pull towards the parent.

    Raises:
        TrainingError: not one image shows a region.
    """
    inside = seen.targets >= 0
    if not inside.any():
        raise TrainingError("Not one of the labelled images shows one of the 14 regions.")
    x, y, patients = seen.embeddings[inside], seen.targets[inside], np.array(seen.groups)[inside]
    exposed, judges = split_strangers(strangers, seen.embeddings[~inside], np.array(seen.groups)[~inside])
    sizes = len(exposed.patients), len(judges.patients)
    by_energy = min(sizes) >= ENOUGH_STRANGERS // 2
    if not by_energy:
        exposed = Strangers(embeddings=strangers[:0], patients=())
    raw = out_of_fold(x, y, patients, parent, exposed, strength=strength)
    temperature = cautious_temperature(raw, y)
    logits = raw / temperature
    probabilities = softmax(logits)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    floor = cautious_confidence(confidence, right, parent=thresholds.min_confidence)
    fitted = refit(x, y, parent, exposed.embeddings, strength=strength)
    head = Head(weight=fitted.weight / np.float32(temperature), bias=fitted.bias / np.float32(temperature))
    scores, limit = seen.reject_scores[inside], thresholds.reject_above
    if by_energy:
        scores = energy(logits)
        limit = min(energy_limit(head, judges.embeddings, floor), float(np.quantile(scores, 1.0 - KNOWN_REJECTED)))
    tagged = (confidence >= floor) & (scores <= limit)
    statistic = "energy" if by_energy else thresholds.reject_statistic
    return Adapted(
        head=head,
        temperature=temperature,
        thresholds=Thresholds(min_confidence=floor, reject_statistic=statistic, reject_above=limit),
        by_energy=by_energy,
        metrics={
            **summary(probabilities, y),
            "parent": summary(softmax(logits_of(parent, x)), y),
            "tagged": float(tagged.mean()),
            "right_of_tagged": float(right[tagged].mean()) if tagged.any() else None,
            "rejected": float((scores > limit).mean()),
            "temperature": temperature,
            "min_confidence": floor,
            "reject_statistic": statistic,
            "reject_above": limit,
            "strangers": sum(sizes),
        },
    )


def split_strangers(strangers: Floats, own: Floats, groups: np.ndarray[Any, Any]) -> tuple[Strangers, Strangers]:
    """Strangers to push away while fitting, and about as many to judge by.

    Of the file's (M, D) every other one; the labels' own (N, D) by whole groups (N,), the largest first, each to the
    smaller side.
    """
    sides = [[strangers[::2]], [strangers[1::2]]]
    counts = [len(side[0]) for side in sides]
    patients: list[list[str | None]] = [[None] * count for count in counts]
    for name in sorted(dict.fromkeys(groups.tolist()), key=lambda name: -int((groups == name).sum())):
        smaller = int(counts[1] < counts[0])
        sides[smaller].append(own[groups == name])
        counts[smaller] += len(sides[smaller][-1])
        patients[smaller] += [name] * len(sides[smaller][-1])
    first, second = (
        Strangers(embeddings=np.concatenate(side), patients=whose) for side, whose in zip(sides, patients, strict=True)
    )
    return first, second


def refit(x: Floats, y: Ints, parent: Head, strangers: Floats, *, strength: float = STRENGTH) -> Head:
    """The head that minimises cross-entropy, regions weighing alike, plus the pull of each row towards the parent's.

        sum over regions r of mean over its images of CE / R  +  mean over strangers of CE to the uniform distribution
        +  1/2 sum over r of strength / n_r * |change of row r|^2

    Rows of regions without an image stay as they are. A change is measured in units of the embedding's spread, so that
    `strength` means the same for any backbone. The middle term is outlier exposure (Hendrycks et al. 2019, arXiv
    1812.04606).

    Args:
        x: (N, D) embeddings.
        y: (N,) regions, all at least 0.
        parent: (14, D) and (14,).
        strangers: (M, D) embeddings out of domain, or none.
        strength: above 0.
    """
    regions, counts = np.unique(y, return_counts=True)
    everything = np.concatenate([np.asarray(x, np.float64), strangers])
    scale = max(float(np.sqrt(np.asarray(x, np.float64).var(axis=0).mean())), 1e-6)
    inputs = np.concatenate([everything / scale, np.ones((len(everything), 1))], axis=1)
    start = logits_of(parent, everything)
    exposure = np.full(len(strangers), STRANGER_WEIGHT / max(1, len(strangers)))
    weights = np.concatenate([(1.0 / counts / len(regions))[np.searchsorted(regions, y)], exposure])
    wanted = np.concatenate([np.eye(len(LABELS))[y], np.full((len(strangers), len(LABELS)), 1.0 / len(LABELS))])
    pull = strength / counts[:, None]

    def objective(flat: Floats) -> tuple[float, Floats]:
        change = flat.reshape(len(regions), -1)
        logits = start.copy()
        logits[:, regions] += inputs @ change.T
        top = logits.max(axis=1, keepdims=True)
        log_sum = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
        loss = float((weights * (log_sum - (wanted * logits).sum(axis=1))).sum())
        towards = (np.exp(logits - log_sum[:, None]) - wanted) * weights[:, None]
        gradient = towards[:, regions].T @ inputs + pull * change
        return loss + 0.5 * float((pull * change**2).sum()), gradient.ravel()

    found = minimize(objective, np.zeros(len(regions) * inputs.shape[1]), jac=True, method="L-BFGS-B")
    change = found.x.reshape(len(regions), -1)
    weight, bias = parent.weight.copy(), parent.bias.copy()
    weight[regions] += (change[:, :-1] / scale).astype(np.float32)
    bias[regions] += change[:, -1].astype(np.float32)
    return Head(weight=weight, bias=bias)


def out_of_fold(
    x: Floats, y: Ints, groups: np.ndarray[Any, Any], parent: Head, strangers: Strangers, *, strength: float
) -> Floats:
    """(N, 14) logits, each from a head that was fitted without the image's whole group, strangers of it included.

    A region whose only images are left out falls back to the parent's row, so these are, if anything, worse than what
    the final head gives: the confidence that is calibrated on them errs on the side of doubt.
    """
    names = np.random.default_rng(0).permutation(np.unique(groups))
    fold_of = {name: number % FOLDS for number, name in enumerate(names)}
    folds = np.array([fold_of[name] for name in groups])
    logits = np.zeros((len(y), len(LABELS)))
    for fold in np.unique(folds):
        left_out = folds == fold
        kept = ~left_out
        others = strangers.without(set(groups[left_out].tolist()))
        head = refit(x[kept], y[kept], parent, others, strength=strength) if kept.any() else parent
        logits[left_out] = logits_of(head, x[left_out])
    return logits


def cautious_temperature(logits: Floats, y: Ints) -> float:
    """The temperature that is most probable after N images, when log temperature was Gaussian around 0 before.

    With few images it stays near 1, the parent's calibration; with hundreds it is the usual fit.
    """

    def loss(log_temperature: float) -> float:
        z = logits / np.exp(log_temperature)
        top = z.max(axis=1, keepdims=True)
        entropy = (top[:, 0] + np.log(np.exp(z - top).sum(axis=1)) - z[np.arange(len(y)), y]).sum()
        return float(entropy + 0.5 * (log_temperature / TEMPERATURE_WIDTH) ** 2)

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 2.0), method="bounded").x))


def cautious_confidence(confidence: Floats, right: Bools, *, parent: float) -> float:
    """The lowest confidence at which 97 % are right of those above it, with one more wrong one invented.

    That asks for 33 images above it at least. Where no confidence has them, the parent's threshold stays, or rises
    above the surest error that was seen.
    """
    for candidate in CANDIDATES:
        above = confidence >= candidate
        if right[above].sum() >= TARGET_ACCURACY * (above.sum() + 1):
            return round(float(candidate), 4)
    surest = float(confidence[~right].max()) if (~right).any() else 0.0
    return round(min(0.999, max(parent, surest + 0.001)), 4)


def energy_limit(head: Head, strangers: Floats, floor: float) -> float:
    """The highest energy that leaves at most 5 % of the strangers (M, D) tagged, given the confidence asked for."""
    logits = logits_of(head, strangers)
    confident = np.sort(energy(logits)[softmax(logits).max(axis=1) >= floor])
    allowed = int(OOD_TAGGED * len(strangers))
    return float("inf") if len(confident) <= allowed else float(np.nextafter(confident[allowed], -np.inf))


def logits_of(head: Head, x: Floats) -> Floats:
    """(N, D) -> (N, 14) in float64."""
    return np.asarray(np.asarray(x, np.float64) @ head.weight.T.astype(np.float64) + head.bias)
