"""Small random networks and their model files, for tests that need weights and no sense."""

from pathlib import Path

import torch

from tests.unit.model.tiny import tiny_card
from training.encoder import Backbone
from training.export import export
from training.heads import Classifier

SIZE = 32


def random_classifier(seed: int = 0, size: int = SIZE) -> Classifier:
    """Random weights with running statistics that are not the initial ones, as after training."""
    torch.manual_seed(seed)
    backbone = Backbone().train()
    with torch.no_grad():
        for _ in range(3):
            backbone(torch.rand(8, 1, size, size))
    weight, bias = 0.05 * torch.randn(14, 512), 0.3 * torch.randn(14)
    return Classifier(backbone=backbone.eval(), weight=weight, bias=bias, temperature=1.3)


def write_file(path: Path, seed: int = 0, **card: object) -> Classifier:
    """A model file of `random_classifier`; returns the classifier."""
    classifier = random_classifier(seed)
    export(classifier, tiny_card(input_size=SIZE, **card), path)
    return classifier
