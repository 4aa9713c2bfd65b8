"""The network itself trained on a few labelled images, mixed with simulated ones, from a model file or a run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from training.heads import Classifier, trained_classifier
from training.images import ImageSet, joined
from training.manifest import UNLABELLED, is_learned_from
from training.pool import Pool
from training.pretrain import pretrain
from training.recipe import FinetuneRecipe, Recipe
from training.splits import may_calibrate, splits_of
from training.start import as_weights, starting_classifier, told_of


def split_labels(labelled: ImageSet, recipe: FinetuneRecipe) -> tuple[ImageSet, ImageSet]:
    """The labelled images to learn from, and those that only calibrate: whole groups of regions that have enough."""
    groups: dict[str, set[str]] = {}
    for row in labelled.rows:
        groups.setdefault(row.region, set()).add(row.group)
    random, held = np.random.default_rng(0), set[str]()
    for names in (sorted(groups[region]) for region in sorted(groups)):
        number = int(recipe.held_out * len(names)) if len(names) >= recipe.least else 0
        held |= set(random.permutation(np.array(names))[:number].tolist())
    return labelled.where(lambda row: row.group not in held), labelled.where(lambda row: row.group in held)


def as_trained(recipe: Recipe) -> Recipe:
    """The recipe by which the network is trained: supervised, by its section `finetune`, every source alike. A recipe
    of the papers counts epochs of shuffled rows; here the samples count, and labels and simulated images share them.
    """
    plan = recipe.finetune
    return replace(
        recipe,
        data=replace(recipe.data, sampling="balanced", source_power=0.0),
        pretrain=replace(
            recipe.pretrain,
            method="supervised",
            samples=plan.samples,
            epochs=0,
            batch=plan.batch,
            learning_rate=plan.learning_rate,
        ),
    )


def finetune(
    source: Path,
    labelled: ImageSet,
    simulated: ImageSet,
    recipe: Recipe,
    *,
    seed: int,
    out: Path,
    device: torch.device,
    advance: Callable[[int, float], None] = lambda _images, _loss: None,
) -> tuple[Classifier, ImageSet]:
    """Train, and return the classifier with the rows that no weight was learned from, for its calibration.

    Every region's share is half simulated and half labelled where it has labels; the head starts as the model's own.

    Raises:
        TrainingError: see `starting_classifier`.
    """
    mine, held = split_labels(labelled, recipe.finetune)
    learned = joined(
        [simulated.where(lambda row: row.target != UNLABELLED and is_learned_from(row, recipe.data)), mine]
    )
    first = starting_classifier(source, Pool.of(learned), recipe.data.size)
    trained = pretrain(
        learned,
        as_trained(recipe),
        seed=seed,
        out=out,
        device=device,
        first=as_weights(first),
        advance=advance,
    )
    before = splits_of(told_of(source))
    held_simulated = simulated.where(lambda row: row.target != UNLABELLED and may_calibrate(row, [recipe.data], before))
    return trained_classifier(trained.weights), joined([held_simulated, held])
