"""What the one training loop asks of a method: how many views, and the loss on their embeddings."""

from typing import Protocol

import torch
from torch import Tensor, nn

from dicom_node.model.card import LABELS
from training.encoder import EMBEDDING
from training.losses import classification, supervised_contrastive
from training.recipe import PretrainRecipe


class Method(Protocol):
    """A module with the method's own weights (head, projector)."""

    views: int

    def __call__(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """Loss of `embeddings` (views * B, 512), view by view, for `targets` (B,); below 0: out of domain."""
        ...


class Supervised(nn.Module):
    """A linear head with cross-entropy; out-of-domain images are pushed towards the uniform distribution."""

    views = 1

    def __init__(self, recipe: PretrainRecipe) -> None:
        super().__init__()
        self.head = nn.Linear(EMBEDDING, len(LABELS))
        self.outlier_weight = recipe.outlier_weight

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        return classification(self.head(embeddings), targets, outlier_weight=self.outlier_weight)


class SupCon(nn.Module):
    """Two views through a 2-layer projection head; all views of one region are positives.

    An out-of-domain image is a class of its own: its only positive is its other view, everything else pushes it away.
    """

    views = 2

    def __init__(self, recipe: PretrainRecipe) -> None:
        super().__init__()
        self.projector = nn.Sequential(
            nn.Linear(EMBEDDING, EMBEDDING, bias=False),
            nn.BatchNorm1d(EMBEDDING),
            nn.ReLU(),
            nn.Linear(EMBEDDING, recipe.projection),
        )
        self.temperature = recipe.temperature

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        own = len(LABELS) + torch.arange(len(targets), device=targets.device)
        labels = torch.where(targets >= 0, targets, own).repeat(self.views)
        return supervised_contrastive(self.projector(embeddings), labels, temperature=self.temperature)


def make_method(recipe: PretrainRecipe) -> Supervised | SupCon:
    """The method that the recipe names."""
    return Supervised(recipe) if recipe.method == "supervised" else SupCon(recipe)
