"""What the one training loop asks of a method: how many views it wants, and its loss on them."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from dicom_node.model.card import LABELS
from training.distributed import Ranks
from training.encoder import EMBEDDING, pooled
from training.losses import classification, nt_xent, regression, supervised_contrastive
from training.recipe import PretrainRecipe

Embed = Callable[[Tensor], Tensor]
"""The backbone as the loop runs it: (M, 1, S, S) -> embeddings (M, 512)."""


class Method(nn.Module, ABC):
    """A module with the method's own weights (head, projector).

    `views`: how many of each image. `needs_labels`: rows without a label are left out.
    """

    views: ClassVar[int]
    needs_labels: ClassVar[bool]

    def __init__(self, recipe: PretrainRecipe, ranks: Ranks) -> None:
        super().__init__()
        self.recipe, self.ranks = recipe, ranks

    @abstractmethod
    def loss(self, embed: Embed, views: Sequence[Tensor], targets: Tensor) -> Tensor:
        """The loss of the whole batch, a scalar.

        Args:
            embed: the backbone.
            views: this process's views, (B / processes, 1, S, S) each, in [0, 1].
            targets: (B,) of the whole batch: a region, `OOD` or `UNLABELLED`.
        """

    def after_step(self, backbone: nn.Module, *, step: int, steps: int) -> None:
        """Called after the optimiser's step number `step`, for methods that follow the backbone."""


class Supervised(Method):
    """A linear head with cross-entropy; out-of-domain images are pushed towards the uniform distribution."""

    views, needs_labels = 1, True

    def __init__(self, recipe: PretrainRecipe, ranks: Ranks) -> None:
        super().__init__(recipe, ranks)
        self.head = nn.Linear(EMBEDDING, len(LABELS))

    def loss(self, embed: Embed, views: Sequence[Tensor], targets: Tensor) -> Tensor:
        logits = self.ranks.gathered(self.head(embed(views[0])))
        return _classified(logits, targets, self.recipe)


class SimClr(Method):
    """Two views of an image are each other's positives (Chen et al. 2020): 2-layer head with batch norm and ReLU."""

    views, needs_labels = 2, False

    def __init__(self, recipe: PretrainRecipe, ranks: Ranks) -> None:
        super().__init__(recipe, ranks)
        self.projector = _mlp(EMBEDDING, recipe.hidden, recipe.projection)

    def loss(self, embed: Embed, views: Sequence[Tensor], targets: Tensor) -> Tensor:  # noqa: ARG002 - needs none
        first, second = _both(self.projector(_embedded(embed, views)), self.ranks)
        return nt_xent(first, second, temperature=self.recipe.temperature)


class SupCon(Method):
    """SimCLR with all views of one region as positives (Khosla et al. 2020).

    An unlabelled or out-of-domain image is a class of its own: its only positive is its other view, everything else
    pushes it away.
    """

    views, needs_labels = 2, False

    def __init__(self, recipe: PretrainRecipe, ranks: Ranks) -> None:
        super().__init__(recipe, ranks)
        self.projector = _mlp(EMBEDDING, recipe.hidden, recipe.projection)

    def loss(self, embed: Embed, views: Sequence[Tensor], targets: Tensor) -> Tensor:
        z = torch.cat(_both(self.projector(_embedded(embed, views)), self.ranks))
        own = len(LABELS) + torch.arange(len(targets), device=targets.device)
        labels = torch.where(targets >= 0, targets, own).repeat(self.views)
        return supervised_contrastive(z, labels, temperature=self.recipe.temperature)


class Mixed(Method):
    """Cross-entropy where there is a label, SimCLR's loss on every image: simulated and unlabelled ones together."""

    views, needs_labels = 2, False

    def __init__(self, recipe: PretrainRecipe, ranks: Ranks) -> None:
        super().__init__(recipe, ranks)
        self.head = nn.Linear(EMBEDDING, len(LABELS))
        self.projector = _mlp(EMBEDDING, recipe.hidden, recipe.projection)

    def loss(self, embed: Embed, views: Sequence[Tensor], targets: Tensor) -> Tensor:
        embeddings = _embedded(embed, views)
        first, second = _both(self.projector(embeddings), self.ranks)
        logits = torch.cat(_both(self.head(embeddings), self.ranks))
        alike = nt_xent(first, second, temperature=self.recipe.temperature)
        return _classified(logits, targets.repeat(self.views), self.recipe) + self.recipe.self_weight * alike


class Byol(Method):
    """The online network predicts what a slowly following target network makes of the other view (Grill et al. 2020).

    Both networks normalise each view's batch by itself, in training mode, as the authors' code does.
    """

    views, needs_labels = 2, False

    def __init__(self, recipe: PretrainRecipe, ranks: Ranks, backbone: nn.Module) -> None:
        super().__init__(recipe, ranks)
        self.projector = _mlp(EMBEDDING, recipe.hidden, recipe.projection)
        self.predictor = _mlp(recipe.projection, recipe.hidden, recipe.projection)
        self.target_backbone = copy.deepcopy(backbone).requires_grad_(requires_grad=False)
        self.target_projector = copy.deepcopy(self.projector).requires_grad_(requires_grad=False)

    def loss(self, embed: Embed, views: Sequence[Tensor], targets: Tensor) -> Tensor:  # noqa: ARG002 - needs none
        predicted = [self.ranks.gathered(self.predictor(self.projector(embed(view)))) for view in views]
        with torch.no_grad():
            wanted = [self.ranks.gathered(self._target(view)) for view in views]
        return regression(predicted[0], wanted[1]) + regression(predicted[1], wanted[0])

    def _target(self, view: Tensor) -> Tensor:
        with torch.autocast(view.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            features = self.target_backbone(view)
        projected: Tensor = self.target_projector(pooled(features))
        return projected

    @torch.no_grad()
    def after_step(self, backbone: nn.Module, *, step: int, steps: int) -> None:
        momentum = byol_momentum(step, total=steps, base=self.recipe.momentum)
        for target, online in (
            (self.target_backbone, backbone), (self.target_projector, self.projector),
        ):  # fmt: skip
            torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), 1.0 - momentum)


def byol_momentum(step: int, *, total: int, base: float) -> float:
    """The target's momentum, from `base` at the first step to 1 at the last (Grill et al. 2020, section 3.3)."""
    return 1.0 - (1.0 - base) * (math.cos(math.pi * step / max(1, total)) + 1.0) / 2.0


def make_method(recipe: PretrainRecipe, ranks: Ranks, backbone: nn.Module) -> Method:
    """The method that the recipe names; `backbone` is what BYOL's target begins as."""
    if recipe.method == "byol":
        return Byol(recipe, ranks, backbone)
    kinds: dict[str, Callable[[PretrainRecipe, Ranks], Method]] = {
        "supervised": Supervised,
        "supcon": SupCon,
        "simclr": SimClr,
        "mixed": Mixed,
    }
    return kinds[recipe.method](recipe, ranks)


def _mlp(inside: int, hidden: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inside, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, outside)
    )


def _embedded(embed: Embed, views: Sequence[Tensor]) -> Tensor:
    """All views in one go, so that batch norm sees them together."""
    return embed(torch.cat(list(views)))


def _both(values: Tensor, ranks: Ranks) -> tuple[Tensor, Tensor]:
    """The first and the second views' values, of the whole batch each."""
    first, second = values.chunk(2)
    return ranks.gathered(first), ranks.gathered(second)


def _classified(logits: Tensor, targets: Tensor, recipe: PretrainRecipe) -> Tensor:
    return classification(logits, targets, outlier_weight=recipe.outlier_weight, smoothing=recipe.label_smoothing)
