"""`probe --finetune` from beginning to end: labels and simulated images in, a calibrated model file out."""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from dicom_node.imaging import IMAGING_VERSION
from dicom_node.model.card import LABELS, ModelCard, Thresholds
from dicom_node.model.session import Model
from training.adapt import refit
from training.adapting import MODEL
from training.calibrate import choose_thresholds, worst_temperature
from training.drawn import drawn
from training.errors import TrainingError
from training.export import export, folded_head
from training.finetune import as_trained, finetune, split_labels
from training.hang import KNOWN, fit_hang, weighed
from training.heads import Classifier, embed_views
from training.images import ImageSet
from training.labels import load_labelled
from training.manifest import OOD, Row, is_learned_from
from training.metrics import Floats, softmax, with_intervals
from training.pool import Pool, open_pool
from training.progress import progress
from training.recipe import CalibrateRecipe, Recipe, read_recipe, recipe_from
from training.rejection import fit_rejection
from training.runs import METRICS, read_run, recipe_of, save_weights, sources, write_json, write_run
from training.spared import check_spared
from training.splits import check_same_split
from training.start import told_of
from training.turns import upright
from training.unadapted import check_not_finetuned, open_unadapted

SIMULATED = 20_000
"""Simulated images that are mixed in; a fine-tune of some thousand steps sees no more."""

STRANGERS = 300
"""Simulated images out of domain that the re-fitted head is kept from naming."""


def finetune_file(
    start: Path, labels: Path, data: list[Path], out: Path, *, recipe_path: Path | None, seed: int, now: datetime
) -> dict[str, Any]:
    """Fine-tune, calibrate on what was held out, export to `out/model.onnx`; returns the metrics on what was held out.

    Temperature and thresholds come from labelled groups and simulated images that no weight was learned from. Labels of
    regions with few groups are all learned from, so there the calibration rests on simulated images: treat it as such.

    A model file that was adapted is taken as it was before: its head knows the labels that it would be measured on.

    Raises:
        TrainingError: the labels, the data or the model cannot be used, the model was fine-tuned on labels itself, or
            the result would be written over it.
    """
    check_spared([out, out / MODEL], [start])
    recipe, name, version, history = _beginning(start, recipe_path)
    recipe = replace(recipe, name=name, version=version)
    labelled = load_labelled(labels, recipe.data.size)
    simulated = _simulated(data, recipe.data.size, seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with progress("finetune", recipe.finetune.samples) as shown:
        tuned, held = finetune(
            start, labelled, simulated, recipe, seed=seed, out=out, device=device, advance=shown.advance
        )
    learned = simulated.where(lambda row: is_learned_from(row, recipe.data))
    tuned = _hung(tuned, _some(learned, lambda row: row.target >= 0, KNOWN, seed), recipe.calibrate, device)
    seen = _embedded(tuned, held, recipe.calibrate, device)
    parent, _, _ = _calibrated(tuned, seen, held, recipe.calibrate)
    mine, _ = split_labels(labelled, recipe.finetune)
    strange = _some(learned, lambda row: row.target == OOD, STRANGERS, seed)
    tuned = _refitted(parent, mine, strange, recipe.calibrate, device)
    tuned, thresholds, logits = _calibrated(tuned, seen, held, recipe.calibrate)
    metrics = _measured(logits, held, labelled)
    save_weights(out, tuned.weights())
    write_json(out / METRICS, {**metrics, "temperature": tuned.temperature, **asdict(thresholds)})
    write_run(
        out,
        command="probe --finetune",
        recipe=as_trained(recipe),
        seed=seed,
        data=learned,
        now=now,
        thresholds=asdict(thresholds),
        calibrated_on=sources(held),
        labels=sources(labelled),
        earlier=history,
    )
    finetuned = {
        "finished": now.isoformat(timespec="seconds"),
        "seed": seed,
        "labels": sources(labelled),
        "simulated": sources(learned),
        "finetune": asdict(recipe.finetune),
        "calibrated_on": sources(held),
    }
    told = {"recipe": asdict(as_trained(recipe)), "turns": recipe.calibrate.turns, "finetuned": finetuned}
    card = _card(recipe, tuned.temperature, thresholds, {**history, **told})
    export(tuned, card, out / MODEL, turns=recipe.calibrate.turns)
    Model.open(out / MODEL)
    return metrics


def _simulated(data: list[Path], size: int, seed: int) -> ImageSet:
    """At most `SIMULATED` labelled training images of the prepared folders."""
    pool = open_pool(data, at_least=size).where(lambda row: row.is_labelled and row.use == "train")
    return drawn(pool, size, at_most=SIMULATED, seed=seed)


def _some(data: ImageSet, keep: Callable[[Row], bool], at_most: int, seed: int) -> ImageSet:
    """So many of the rows for which `keep` is true, by chance: the first are often of one region, kind or source."""
    return drawn(Pool.of(data).where(keep), data.size, at_most=at_most, seed=seed)


def _hung(tuned: Classifier, known: ImageSet, recipe: CalibrateRecipe, device: torch.device) -> Classifier:
    """The classifier with the votes of its views by the `known` images, where it looks at more than one and they do not
    count alike.
    """
    if recipe.turns == 1 or recipe.votes == "alike":
        return tuned
    with progress("embed", len(known.rows) * recipe.turns) as shown:
        views = embed_views(tuned.backbone, torch.from_numpy(known.images), device, recipe.turns, shown.advance)
    return replace(tuned, hang=fit_hang(views, upright(recipe.turns)))


def _embedded(tuned: Classifier, data: ImageSet, recipe: CalibrateRecipe, device: torch.device) -> torch.Tensor:
    """Embeddings (N, 512), as the exported file will compute them."""
    with progress("embed", len(data.rows) * recipe.turns) as shown:
        views = embed_views(tuned.backbone, torch.from_numpy(data.images), device, recipe.turns, shown.advance)
    return weighed(views, tuned.hang)


def _refitted(
    parent: Classifier, mine: ImageSet, strange: ImageSet, recipe: CalibrateRecipe, device: torch.device
) -> Classifier:
    """The trained network with a head of the labels' own, as `adapt` fits it, kept from naming what is `strange`: half
    of what the network's own head learned from was simulated. docs/TRAINING.md has what it is worth.
    """
    inside = mine.where(lambda row: row.target >= 0)
    if not inside.rows:
        return parent
    exposed = _embedded(parent, strange, recipe, device)
    own = _embedded(parent, inside, recipe, device).double().numpy()
    head = refit(own, inside.targets, folded_head(parent), exposed.double().numpy())
    weight, bias = torch.from_numpy(head.weight), torch.from_numpy(head.bias)
    return replace(parent, weight=weight, bias=bias, temperature=1.0)


def _calibrated(
    tuned: Classifier, embeddings: torch.Tensor, held: ImageSet, recipe: CalibrateRecipe
) -> tuple[Classifier, Thresholds, Floats]:
    """Temperature, energy's rejection and thresholds from the held-out rows, and their calibrated logits (N, 14)."""
    if not (held.targets >= 0).any():
        raise TrainingError("Nothing is left to calibrate on: give simulated data with more groups, or more labels.")
    raw = replace(tuned, temperature=1.0)
    temperature = worst_temperature(raw.logits(embeddings), torch.from_numpy(held.targets), held.rows)
    rejection = fit_rejection("energy", embeddings.numpy(), held.targets)
    tuned = replace(raw, temperature=temperature, rejection=rejection)
    logits = tuned.logits(embeddings).double().numpy()
    return tuned, choose_thresholds(logits, held.rows, recipe), logits


def _measured(logits: Floats, held: ImageSet, labelled: ImageSet) -> dict[str, Any]:
    """Metrics of all held-out rows and, as `of_labels`, of those that came with the labels."""
    groups = [row.group for row in held.rows]
    own = [index for index, row in enumerate(held.rows) if row.source == labelled.rows[0].source]
    of_labels = with_intervals(softmax(logits[own]), held.targets[own], [groups[index] for index in own])
    return {**with_intervals(softmax(logits), held.targets, groups), "of_labels": of_labels}


def _card(recipe: Recipe, temperature: float, thresholds: Thresholds, training: dict[str, Any]) -> ModelCard:
    return ModelCard(
        name=recipe.name,
        version=recipe.version,
        labels=LABELS,
        input_size=recipe.data.size,
        imaging_version=IMAGING_VERSION,
        temperature=temperature,
        thresholds=thresholds,
        training=training,
    )


def _beginning(start: Path, recipe_path: Path | None) -> tuple[Recipe, str, str, dict[str, Any]]:
    """The recipe, the new model's name and version, and what the parent says of its own training."""
    if recipe_path:
        check_same_split(read_recipe(recipe_path).data, told_of(start), start.name)
    check_not_finetuned(told_of(start), start)
    if start.is_dir():
        recipe = read_recipe(recipe_path) if recipe_path else recipe_of(start)
        return recipe, f"{recipe.name}-finetuned", recipe.version, {"parent": recipe.name, "run": read_run(start)}
    before = open_unadapted(start)
    card = before.model.card
    recipe = read_recipe(recipe_path) if recipe_path else _as_the_file(card)
    if recipe_path and recipe.data.size != card.input_size:
        raise TrainingError(f"The recipe says {recipe.data.size} px, the model takes {card.input_size} px.")
    recipe = replace(recipe, data=replace(recipe.data, size=card.input_size))
    earlier = {key: card.training[key] for key in ("recipe", "earlier") if key in card.training}
    history = {**card.training, "parent": before.model_id, "earlier": earlier}
    return recipe, f"{card.name}-finetuned", card.version, history


def _as_the_file(card: ModelCard) -> Recipe:
    """The recipe that the file was made with, as far as it tells, and as many views of each image as it looks at."""
    recipe = recipe_from(card.training.get("recipe", {}))
    return replace(recipe, calibrate=replace(recipe.calibrate, turns=card.training.get("turns", 1)))
