"""Label audit (Langer et al. 2024, section 4.4): which headers are probably wrong, by heads that never saw them.

The paper looked at its test set alone; with cross-fitted heads every row is audited. The backbone is frozen, so that a
head is a logistic regression on embeddings: convex, the same on every machine, and fitted in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from dicom_node.model.card import LABELS
from training.confident import Suspects, estimated_joint, suspects
from training.encoder import EMBEDDING
from training.errors import TrainingError
from training.manifest import OOD, Row
from training.metrics import Floats, Ints
from training.recipe import AuditRecipe

OUTSIDE = "ood"
"""The class of everything out of domain: a label can be wrong because the image shows none of the regions."""

CLASSES: tuple[str, ...] = (*LABELS, OUTSIDE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Audit:
    """`given` (N,) class index into `CLASSES`; `probabilities` (N, 15) out of fold; `found`: the suspects."""

    rows: tuple[Row, ...]
    given: Ints
    probabilities: Floats
    found: Suspects

    @property
    def predicted(self) -> Ints:
        """(N,) the most probable class of each row."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    def candidates(self) -> list[dict[str, Any]]:
        """The lines of `candidates.csv`, worst first."""
        found = self.found
        return [
            {
                "file": str(self.rows[row].file),
                "given": CLASSES[self.given[row]],
                "proposed": CLASSES[proposed],
                "probability": round(float(probability), 4),
                "score": round(float(score), 4),
            }
            for row, proposed, probability, score in zip(
                found.rows, found.proposed, found.probability, found.score, strict=True
            )
        ]

    def per_class(self) -> list[dict[str, Any]]:
        """For each given class: rows, candidates, and the share that is estimated to be something else; None where no
        head that judged the class had seen it.
        """
        joint = estimated_joint(self.found.joint, self.given)
        counts = np.bincount(self.given, minlength=len(CLASSES))
        lines = []
        for index in counts.nonzero()[0]:
            to = np.bincount(self.found.proposed[self.given[self.found.rows] == index], minlength=len(CLASSES))
            likeliest = [f"{CLASSES[j]} {to[j]}" for j in np.argsort(-to, kind="stable")[:3] if to[j]]
            wrong = 1.0 - joint[index, index] / joint[index].sum()
            lines.append(
                {
                    "name": CLASSES[index],
                    "n": int(counts[index]),
                    "candidates": int(to.sum()),
                    "estimated": None if index in self.found.unjudged else float(wrong),
                    "proposals": likeliest,
                }
            )
        return lines

    def per_source(self) -> list[dict[str, Any]]:
        """For each source: rows, candidates, and their share."""
        sources = np.array([row.source for row in self.rows])
        suspected = np.zeros(len(sources), bool)
        suspected[self.found.rows] = True
        return [
            {
                "name": str(name) or "not named",
                "n": int((sources == name).sum()),
                "candidates": int(suspected[sources == name].sum()),
                "share": float(suspected[sources == name].mean()),
            }
            for name in sorted(set(sources))
        ]


def audit(embeddings: Floats, rows: Sequence[Row], given: Ints, recipe: AuditRecipe, *, seed: int) -> Audit:
    """Audit the labels `given` (N,) of `rows` by their embeddings (N, 512).

    Raises:
        TrainingError: there are too few groups, or rows of every class, for the folds, or fewer than two classes.
    """
    probabilities = out_of_fold(embeddings, given, [row.group for row in rows], recipe, seed=seed)
    return Audit(rows=tuple(rows), given=given, probabilities=probabilities, found=suspects(probabilities, given))


def classes_of(rows: Sequence[Row]) -> Ints:
    """(N,) the index in `CLASSES` of labelled rows."""
    return np.array([len(LABELS) if row.target == OOD else row.target for row in rows], np.int64)


def out_of_fold(embeddings: Floats, given: Ints, groups: Sequence[str], recipe: AuditRecipe, *, seed: int) -> Floats:
    """(N, 15) probabilities; no row's come from a head that saw the row, or another one of its group.

    Raises:
        TrainingError: there are too few groups, or rows of every class, for the folds, or fewer than two classes.
    """
    if len(set(groups)) < recipe.folds or len(set(given)) < 2:
        raise TrainingError(
            f"An audit needs at least two classes and {recipe.folds} groups; the data has {len(set(given))} and "
            f"{len(set(groups))}."
        )
    if (most := int(np.bincount(given).max())) < recipe.folds:
        raise TrainingError(
            f"An audit in {recipe.folds} folds needs a class of as many rows; the largest has {most}: "
            "add labelled rows, or lower audit.folds in the recipe."
        )
    probabilities = np.zeros((len(given), len(CLASSES)))
    folds = StratifiedGroupKFold(n_splits=recipe.folds, shuffle=True, random_state=seed)
    for learned, kept in folds.split(embeddings, given, groups):
        head = fitted_head(embeddings[learned], given[learned], recipe)
        probabilities[np.ix_(kept, head.classes)] = head.probabilities(embeddings[kept])
    return probabilities


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """A linear head on raw embeddings: `weight` (C, 512), `bias` (C,), for the `classes` (C,)."""

    classes: Ints
    weight: Floats
    bias: Floats

    def probabilities(self, embeddings: Floats) -> Floats:
        """(N, 512) -> (N, C)."""
        logits = embeddings @ self.weight.T + self.bias
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    def for_all_classes(self) -> Floats:
        """(15, 512) the weights by class index; zeros for classes that were not there."""
        weight = np.zeros((len(CLASSES), EMBEDDING))
        weight[self.classes] = self.weight
        return weight


def fitted_head(embeddings: Floats, given: Ints, recipe: AuditRecipe) -> Head:
    """Logistic regression on standardised embeddings, with the standardisation folded in."""
    scaler = StandardScaler().fit(embeddings)
    # Single class: nothing to fit, and scikit-learn refuses it.
    classes = np.unique(given)
    if len(classes) == 1:
        return Head(classes=classes, weight=np.zeros((1, embeddings.shape[1])), bias=np.zeros(1))
    model = LogisticRegression(C=recipe.strength, max_iter=300)
    # One thread: these products are so small that threads waiting for each other took fifty times as long.
    with threadpool_limits(limits=1):
        model.fit(scaler.transform(embeddings).astype(np.float32), given)
    weight, bias = (np.asarray(each, np.float64) for each in (model.coef_, model.intercept_))
    if len(weight) == 1:  # two classes: one logit is enough for scikit-learn, ours has one per class
        weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    folded = weight / scaler.scale_
    return Head(classes=model.classes_.astype(np.int64), weight=folded, bias=bias - folded @ scaler.mean_)
