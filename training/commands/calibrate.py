"""`python -m training calibrate`."""

import dataclasses
from datetime import UTC, datetime

import torch

from training.calibrate import choose_rejection, choose_thresholds, worst_temperature
from training.commands.inputs import (
    DataOption,
    FromOption,
    OutOption,
    RecipeOption,
    SeedOption,
    device_here,
    prepared,
    recipe_for,
    say,
)
from training.diagram import reliability_diagram, risk_diagram
from training.drawn import drawn
from training.errors import TrainingError
from training.heads import Classifier, embed, load_classifier
from training.images import ImageSet
from training.manifest import OOD, is_calibrated_on, is_learned_from
from training.metrics import reliability, softmax, summary, with_intervals
from training.pool import open_pool
from training.progress import progress
from training.rejection import STATISTICS, fit_rejection
from training.runs import METRICS, save_weights, sources, write_json, write_run
from training.strangers import some_of_each
from training.turns import turned

KNOWN = 2000
"""Learned rows from which the rejection's parameters are taken."""


def calibrate(
    data: DataOption, out: OutOption, source: FromOption, recipe: RecipeOption = None, seed: SeedOption = 0
) -> None:
    """Fit temperature, rejection and thresholds on rows that no weight was learned from: tune, calibrate, held-out
    groups. Leaves reliability.svg and risk.svg beside the numbers.
    """
    chosen, device = recipe_for(recipe, source), device_here()
    pool = open_pool(prepared(data, chosen, out), at_least=chosen.data.size)
    learned = pool.where(lambda row: row.is_labelled and is_learned_from(row, chosen.data))
    held = drawn(pool.where(lambda row: row.is_labelled and is_calibrated_on(row, chosen.data)), chosen.data.size)
    if not held.rows:
        raise TrainingError("The data has no rows that nothing was learned from: add tune rows or raise data.held_out.")
    raw = load_classifier(source)
    embeddings = _embed(raw, held, device, chosen.calibrate.turns)
    before = raw.logits(embeddings)
    temperature = worst_temperature(before, torch.from_numpy(held.targets), held.rows)
    classifier = dataclasses.replace(raw, temperature=raw.temperature * temperature)
    logits = classifier.logits(embeddings).double().numpy()

    known = drawn(learned, chosen.data.size, at_most=KNOWN, seed=seed)
    if not (known.targets >= 0).any():
        raise TrainingError("The data has none of the rows that the run learned from: give the same --data as before.")
    known_embeddings = _embed(raw, known, device, chosen.calibrate.turns).double().numpy()
    candidates = {name: fit_rejection(name, known_embeddings, known.targets, seed=seed) for name in STATISTICS}
    held_embeddings = embeddings.double().numpy()
    rejection, evidence = choose_rejection(candidates, held_embeddings, logits, held.rows, chosen.calibrate)
    strange = held.targets == OOD
    kinds = [row.region for row in held.rows if row.target == OOD]
    strangers = torch.from_numpy(some_of_each(held_embeddings[strange], kinds, seed=seed)).float()
    classifier = dataclasses.replace(classifier, rejection=rejection, strangers=strangers)
    scores = rejection.score(held_embeddings, logits)
    thresholds = choose_thresholds(logits, held.rows, chosen.calibrate, statistic=rejection.statistic, scores=scores)

    probabilities = softmax(logits)
    metrics = with_intervals(probabilities, held.targets, [row.group for row in held.rows])
    bins = reliability(probabilities, held.targets)
    inside = held.targets >= 0
    right = probabilities.argmax(axis=1) == held.targets
    orders = {str(name): each.score(held_embeddings, logits)[inside] for name, each in candidates.items()}
    orders["confidence"] = -probabilities.max(axis=1)[inside]
    reliability_diagram(bins, metrics["ece"], out / "reliability.svg")
    risk_diagram(orders, right[inside], out / "risk.svg")
    tagged = (probabilities.max(axis=1) >= thresholds.min_confidence) & (scores <= thresholds.reject_above)
    save_weights(out, classifier.weights())
    chosen_values = {"temperature": classifier.temperature, **dataclasses.asdict(thresholds)}
    shares = {
        "tagged": float(tagged[inside].mean()) if inside.any() else None,
        "right_of_tagged": float(right[inside & tagged].mean()) if (inside & tagged).any() else None,
        "ood_tagged": float(tagged[~inside].mean()) if (~inside).any() else None,
    }
    ece_before = summary(softmax(before.double().numpy()), held.targets)["ece"]
    more = {"rejection": evidence, "reliability": bins}
    write_json(out / METRICS, {**metrics, "ece_before": ece_before, **chosen_values, **shares, **more})
    write_run(
        out,
        command="calibrate",
        recipe=chosen,
        seed=seed,
        data=learned,
        now=datetime.now(UTC),
        thresholds=dataclasses.asdict(thresholds),
        calibrated_on=sources(held),
    )
    say({**metrics, **chosen_values, **shares})


def _embed(classifier: Classifier, data: ImageSet, device: torch.device, turns: int) -> torch.Tensor:
    """Embeddings (N, 512), averaged over the views that the exported file will average over."""
    images = torch.from_numpy(data.images)
    with progress("embed", len(data.rows) * turns) as shown:
        views = [embed(classifier.backbone, view, device, advance=shown.advance) for view in turned(images, turns)]
    return torch.stack(views).mean(dim=0)
