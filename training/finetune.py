"""The network itself trained on a few labelled images, mixed with simulated ones, from a model file or a run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from training.errors import TrainingError
from training.heads import Classifier, head_of, load_backbone
from training.images import ImageSet, joined
from training.manifest import UNLABELLED, is_held_out, is_learned_from
from training.pretrain import pretrain
from training.recipe import FinetuneRecipe, Recipe
from training.reopen import backbone_of_file, head_of_file, open_file, settle_batch_norms
from training.runs import load_weights

SETTLING = 256
"""Images from which folded batch norms take their statistics."""


def starting_classifier(source: Path, like: ImageSet) -> Classifier:
    """Backbone and head of a run folder, or of a model file; `like` settles batch norms that an export folded away.

    Raises:
        TrainingError: there is no head, or the file is quantised or an ensemble.
    """
    if source.is_dir():
        weights = load_weights(source)
        head = head_of(weights)
        if head is None:
            raise TrainingError(
                f"The run {source} has no linear head to start from: name a probed run or a model file."
            )
        return Classifier(backbone=load_backbone(source), weight=head[0], bias=head[1])
    graph, _ = open_file(source)
    backbone, head_in_file = backbone_of_file(graph), head_of_file(graph)
    chosen = np.random.default_rng(0).permutation(len(like.images))[:SETTLING]
    settle_batch_norms(backbone, torch.from_numpy(like.images[chosen])[:, None].float() / 255.0)
    weight, bias = torch.from_numpy(head_in_file.weight.copy()), torch.from_numpy(head_in_file.bias.copy())
    return Classifier(backbone=backbone, weight=weight, bias=bias)


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
    plan = recipe.finetune
    mixed = replace(
        recipe,
        data=replace(recipe.data, source_power=0.0),
        pretrain=replace(
            recipe.pretrain,
            method="supervised",
            samples=plan.samples,
            batch=plan.batch,
            learning_rate=plan.learning_rate,
        ),
    )
    mine, held = split_labels(labelled, plan)
    learned = joined(
        [simulated.where(lambda row: row.target != UNLABELLED and is_learned_from(row, recipe.data)), mine]
    )
    first = starting_classifier(source, learned)
    trained = pretrain(
        learned,
        mixed,
        seed=seed,
        out=out,
        device=device,
        first={
            "backbone": first.backbone.state_dict(),
            "method": {"head.weight": first.weight, "head.bias": first.bias},
        },
        advance=advance,
    )
    backbone = first.backbone.cpu()
    backbone.load_state_dict(trained.weights["backbone"])
    head = head_of(trained.weights)
    assert head is not None
    held_simulated = simulated.where(
        lambda row: (
            row.target != UNLABELLED and is_held_out(row, fraction=recipe.data.held_out, seed=recipe.data.split_seed)
        )
    )
    tuned = Classifier(backbone=backbone.eval(), weight=head[0].cpu(), bias=head[1].cpu())
    return tuned, joined([held_simulated, held])
