"""Weights to begin with: those of an earlier run, or of a model file."""

from pathlib import Path
from typing import Any

import torch

from dicom_node.model.session import Model
from training.drawn import drawn
from training.errors import TrainingError
from training.heads import Classifier, head_of, load_backbone
from training.pool import Pool
from training.reopen import backbone_of_file, head_of_file, settle_batch_norms
from training.runs import load_weights, read_run
from training.unadapted import open_unadapted

SETTLING = 256
"""Images from which folded batch norms take their statistics."""


def starting_classifier(source: Path, like: Pool, size: int) -> Classifier:
    """Backbone and head of a run folder, or of a model file; of one that was adapted, the head that it began with.

    Args:
        source: the run folder or the file.
        like: settles batch norms that an export folded away.
        size: of the model's input, in pixels.

    Raises:
        TrainingError: there is no head, or the file is quantised or an ensemble, or was adapted by an earlier release.
    """
    if source.is_dir():
        head = head_of(load_weights(source))
        if head is None:
            raise TrainingError(
                f"The run {source} has no linear head to start from: name a probed run or a model file."
            )
        return Classifier(backbone=load_backbone(source), weight=head[0], bias=head[1])
    graph = open_unadapted(source).graph
    backbone, head_in_file = backbone_of_file(graph), head_of_file(graph)
    images = drawn(like, size, at_most=SETTLING).images
    settle_batch_norms(backbone, torch.from_numpy(images)[:, None].float() / 255.0)
    weight, bias = torch.from_numpy(head_in_file.weight.copy()), torch.from_numpy(head_in_file.bias.copy())
    return Classifier(backbone=backbone, weight=weight, bias=bias)


def first_weights(source: Path, like: Pool, size: int) -> dict[str, Any]:
    """What `pretrain` begins with: all that a run handed on, or a model file's backbone and head.

    Raises:
        TrainingError: see `starting_classifier`; or the run has no weights.
    """
    return load_weights(source) if source.is_dir() else as_weights(starting_classifier(source, like, size))


def as_weights(classifier: Classifier) -> dict[str, Any]:
    """A classifier as a supervised run would hand it on."""
    head = {"head.weight": classifier.weight, "head.bias": classifier.bias}
    return {"backbone": classifier.backbone.state_dict(), "method": head}


def told_of(source: Path) -> dict[str, Any]:
    """What a run folder or a model file says of its own making."""
    if source.is_dir():
        return read_run(source)
    model = Model.open(source)
    return {"model": model.model_id, **model.card.training}
