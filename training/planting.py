"""The audit's proof: wrong labels planted on purpose, and how many of them it finds."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.audit import CLASSES, Audit, audit
from training.errors import TrainingError
from training.manifest import Row
from training.metrics import Bools, Floats, Ints
from training.recipe import AuditRecipe

RATE = 0.05

CONFUSIONS: Mapping[str, tuple[str, ...]] = {
    "clavicle": ("shoulder",),
    "hand": ("wrist",),
    "cervical_spine": ("thoracic_spine",),
    "thoracic_spine": ("cervical_spine", "lumbar_spine"),
    "lumbar_spine": ("thoracic_spine",),
}
"""What an image shows -> what Langer et al. (section 4.4, figure 4) found it labelled as: shoulder for clavicle, wrist
for hand, and the neighbouring spine."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What one audit found of the errors that were planted before it.

    `recall`: of the planted ones, listed; `precision`: of the listed ones, planted; `top`: of the first n candidates,
    n being the number planted, those that were; `mended`: of the planted ones, listed with the right class proposed.
    """

    planted: int
    listed: int
    recall: float
    precision: float
    top: float
    mended: float


def planted_at_random(given: Ints, rate: float, random: np.random.Generator) -> Ints:
    """Labels of which the share `rate` is wrong: each of the other classes that occur is equally likely."""
    wrong, classes = given.copy(), np.unique(given)
    for row in random.permutation(len(given))[: round(rate * len(given))]:
        wrong[row] = random.choice(classes[classes != given[row]])
    return wrong


def planted_confusions(given: Ints, rate: float, random: np.random.Generator) -> Ints:
    """Labels of which the share `rate` of each class in `CONFUSIONS` is wrong as there."""
    wrong, classes = given.copy(), set(given.tolist())
    for name, others in CONFUSIONS.items():
        of_class = (given == CLASSES.index(name)).nonzero()[0]
        there = [CLASSES.index(other) for other in others if CLASSES.index(other) in classes]
        for row in random.permutation(of_class)[: round(rate * len(of_class))] if there else ():
            wrong[row] = random.choice(there)
    return wrong


PLANTINGS = {"random": planted_at_random, "confusions": planted_confusions}


def found(made: Audit, truth: Ints) -> Found:
    """Compare an audit of planted labels with the labels as they were."""
    planted = made.given != truth
    rows, n = made.found.rows, int(planted.sum())
    return Found(
        planted=n,
        listed=len(rows),
        recall=_share(planted[rows], n),
        precision=_share(planted[rows], len(rows)),
        top=_share(planted[rows[:n]], n),
        mended=_share(planted[rows] & (made.found.proposed == truth[rows]), n),
    )


def plant(
    embeddings: Floats,
    rows: Sequence[Row],
    truth: Ints,
    recipe: AuditRecipe,
    *,
    seeds: Sequence[int],
    rate: float = RATE,
) -> list[dict[str, Any]]:
    """For each way of planting, one audit per seed; the mean and the sample standard deviation over the seeds.

    A seed chooses the errors and the folds. The first line, "none", is the audit of the labels as they are: what it
    lists, the others list as well.

    Raises:
        TrainingError: there are no seeds.
    """
    if not seeds:
        raise TrainingError("Errors are planted with one seed or more: --plant 5, for example.")
    clean = [found(audit(embeddings, rows, truth, recipe, seed=seed), truth) for seed in seeds[:1]]
    lines = [_line("none", clean)]
    for name, planting in PLANTINGS.items():
        results = []
        for seed in seeds:
            wrong = planting(truth, rate, np.random.default_rng(seed))
            results.append(found(audit(embeddings, rows, wrong, recipe, seed=seed), truth))
        lines.append(_line(name, results))
    return lines


def _line(name: str, results: Sequence[Found]) -> dict[str, Any]:
    line: dict[str, Any] = {"planting": name, "seeds": len(results)}
    for each in dataclasses.fields(Found):
        values = np.array([getattr(result, each.name) for result in results], float)
        if np.isnan(values).any():  # a share of nothing
            line[each.name] = line[f"{each.name}_spread"] = None
            continue
        line[each.name] = float(values.mean())
        line[f"{each.name}_spread"] = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return line


def _share(hits: Bools, of: int) -> float:
    return float(hits.sum() / of) if of else float("nan")
