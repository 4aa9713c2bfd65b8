"""`python -m training calibrate`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dicom_node.model.card import LABELS, Thresholds
from training.calibrate import choose_rejection, choose_thresholds, worst_temperature
from training.commands.inputs import device_here, held_rows, prepared, recipe_for, say
from training.commands.options import DataOption, FromOption, OutOption, RecipeOption, SeedOption
from training.diagram import reliability_diagram, risk_diagram
from training.drawn import drawn
from training.errors import TrainingError
from training.hang import KNOWN, fit_hang, weighed
from training.heads import Classifier, embed_views, load_classifier
from training.images import ImageSet
from training.manifest import OOD, is_learned_from
from training.metrics import Bools, Floats, reliability, softmax, summary, with_intervals
from training.pool import Pool, open_pool
from training.progress import progress
from training.rejection import BANK_PER_REGION, NEIGHBOURS, STATISTICS, Rejection, Statistic, fit_rejection
from training.runs import METRICS, save_weights, sources, write_json, write_run
from training.splits import splits_of
from training.start import told_of
from training.strangers import some_of_each
from training.telling import tell
from training.turns import upright


@dataclass(frozen=True, kw_only=True, eq=False)
class _Held:
    """Rows that no weight was learned from: their embeddings (N, 512) and calibrated logits (N, 14)."""

    data: ImageSet
    embeddings: Floats
    logits: Floats

    @property
    def inside(self) -> Bools:
        """(N,) whether the row shows a region."""
        return self.data.targets >= 0

    @property
    def confidence(self) -> Floats:
        """(N,) of the most probable region."""
        return np.asarray(softmax(self.logits).max(axis=1))

    @property
    def right(self) -> Bools:
        """(N,) whether the most probable region is the row's."""
        return np.asarray(softmax(self.logits).argmax(axis=1) == self.data.targets)

    def metrics(self) -> dict[str, Any]:
        """Of the rows that show a region, with intervals over groups."""
        return with_intervals(softmax(self.logits), self.data.targets, [row.group for row in self.data.rows])

    def strangers(self, seed: int) -> torch.Tensor:
        """(M, 512): some embeddings of every out-of-domain kind, for the model file to carry along."""
        kinds = [row.region for row in self.data.rows if row.target == OOD]
        return torch.from_numpy(some_of_each(self.embeddings[self.data.targets == OOD], kinds, seed=seed)).float()


def calibrate(
    data: DataOption, out: OutOption, source: FromOption, recipe: RecipeOption = None, seed: SeedOption = 0
) -> None:
    """Fit temperature, rejection and thresholds on rows that no weight was learned from: tune, calibrate, held-out
    groups. Leaves reliability.svg and risk.svg beside the numbers.
    """
    chosen, device = recipe_for(recipe, source), device_here()
    pool, turns = open_pool(prepared(data, chosen, out), at_least=chosen.data.size), chosen.calibrate.turns
    learned = pool.where(lambda row: row.is_labelled and is_learned_from(row, chosen.data))
    before = splits_of(told_of(source))
    rows, raw = held_rows(pool, chosen.data.size, [chosen.data], before), load_classifier(source)
    known = known_rows(learned, chosen.data.size, seed=seed)
    views = _embed(raw, known, device, turns)
    if turns > 1 and chosen.calibrate.votes == "upright":
        raw = replace(raw, hang=fit_hang(views, upright(turns)))
    embeddings = weighed(_embed(raw, rows, device, turns), raw.hang)
    classifier, held = _tempered(raw, embeddings, rows)
    candidates = _statistics(weighed(views, raw.hang).double().numpy(), known, seed)
    rejection, evidence = choose_rejection(candidates, held.embeddings, held.logits, rows.rows, chosen.calibrate)
    if rejection.statistic == "knn":
        _warn_of_few(known)
    scores = rejection.score(held.embeddings, held.logits)
    thresholds = choose_thresholds(
        held.logits, rows.rows, chosen.calibrate, statistic=rejection.statistic, scores=scores
    )
    save_weights(out, replace(classifier, rejection=rejection, strangers=held.strangers(seed)).weights())

    ece_before = summary(softmax(raw.logits(embeddings).double().numpy()), rows.targets)["ece"]
    chosen_values = {"temperature": classifier.temperature, **asdict(thresholds)}
    metrics = {**held.metrics(), "ece_before": ece_before, **chosen_values, **_shares(held, scores, thresholds)}
    bins = reliability(softmax(held.logits), rows.targets)
    reliability_diagram(bins, metrics["ece"], out / "reliability.svg")
    _risk_diagram(held, candidates, out / "risk.svg")
    write_json(out / METRICS, {**metrics, "rejection": evidence, "reliability": bins})
    write_run(
        out,
        command="calibrate",
        recipe=chosen,
        seed=seed,
        data=learned,
        now=datetime.now(UTC),
        thresholds=asdict(thresholds),
        calibrated_on=sources(rows),
        earlier=told_of(source),
    )
    say(metrics)


def _tempered(raw: Classifier, embeddings: torch.Tensor, rows: ImageSet) -> tuple[Classifier, _Held]:
    """The classifier with the temperature that these rows ask for, and what it then makes of them."""
    temperature = worst_temperature(raw.logits(embeddings), torch.from_numpy(rows.targets), rows.rows)
    classifier = replace(raw, temperature=raw.temperature * temperature)
    logits = classifier.logits(embeddings).double().numpy()
    return classifier, _Held(data=rows, embeddings=embeddings.double().numpy(), logits=logits)


def _embed(classifier: Classifier, data: ImageSet, device: torch.device, turns: int) -> torch.Tensor:
    """Embeddings (V, N, 512) of the views that the exported file will average over."""
    with progress("embed", len(data.rows) * turns) as shown:
        return embed_views(classifier.backbone, torch.from_numpy(data.images), device, turns, shown.advance)


def known_rows(learned: Pool, size: int, *, seed: int) -> ImageSet:
    """Learned rows of regions that tell what is known: `KNOWN` in all, and enough of every region for its own bank.

    By chance alone a region of a few rows in a thousand would have fewer neighbours in the bank than are asked for, or
    none, and no mean for Mahalanobis: its images would be strangers, however well they are recognised. The covariance
    that regions share is over these rows, so that a rare region weighs a little more in it than in the archive.

    Raises:
        TrainingError: no row shows a region.
    """
    inside = learned.where(lambda row: row.target >= 0)
    if not inside.rows:
        raise TrainingError("The data has none of the rows that the run learned from: give the same --data as before.")
    return drawn(inside, size, at_most=KNOWN, of_each=BANK_PER_REGION, seed=seed)


def _warn_of_few(known: ImageSet) -> None:
    """Say which regions have fewer learned rows than neighbours are asked for: others are always among theirs."""
    counts = {LABELS[target]: int((known.targets == target).sum()) for target in np.unique(known.targets)}
    few = [f"{region} ({n})" for region, n in counts.items() if n < NEIGHBOURS]
    if few:
        tell(
            f"So few images were learned from that knn will reject most of these regions: {', '.join(few)}. Add "
            f"images until there are {NEIGHBOURS} or more, or set reject to another statistic in [calibrate]."
        )


def _statistics(embeddings: Floats, known: ImageSet, seed: int) -> Mapping[Statistic, Rejection]:
    """Every statistic, its parameters taken from learned rows."""
    return {name: fit_rejection(name, embeddings, known.targets, seed=seed) for name in STATISTICS}


def _shares(held: _Held, scores: Floats, thresholds: Thresholds) -> dict[str, Any]:
    """How many would be tagged, inside and out of domain, and how many of those rightly; None where there are none."""
    tagged = (held.confidence >= thresholds.min_confidence) & (scores <= thresholds.reject_above)
    return {
        "tagged": _mean(tagged[held.inside]),
        "right_of_tagged": _mean(held.right[held.inside & tagged]),
        "ood_tagged": _mean(tagged[~held.inside]),
    }


def _mean(values: Bools) -> float | None:
    return float(values.mean()) if len(values) else None


def _risk_diagram(held: _Held, candidates: Mapping[Statistic, Rejection], path: Path) -> None:
    """One curve for each statistic and one for the confidence, over the rows that show a region."""
    orders: dict[str, Floats] = {
        str(name): each.score(held.embeddings, held.logits)[held.inside] for name, each in candidates.items()
    }
    orders["confidence"] = -held.confidence[held.inside]
    risk_diagram(orders, held.right[held.inside], path)
