"""The linear head on a frozen backbone (Langer et al. 2024, linear evaluation), on embeddings computed once.

What differs from the paper is in docs/TRAINING.md, "Probe".
"""

from collections.abc import Callable

import torch
from torch import Tensor

from dicom_node.model.card import LABELS
from training.augment import augment
from training.encoder import EMBEDDING, Backbone
from training.heads import embed
from training.images import ImageSet
from training.losses import classification
from training.manifest import sampling_weights
from training.recipe import DataRecipe, ProbeRecipe
from training.schedules import cosine

BATCH = 512


def cached_views(
    backbone: Backbone,
    data: ImageSet,
    recipe: ProbeRecipe,
    *,
    seed: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda _n: None,
) -> Tensor:
    """Embeddings of `views` gently augmented views of each image: (views, N, 512)."""
    images = torch.from_numpy(data.images)
    random = torch.Generator().manual_seed(seed)
    views = []
    for _ in range(recipe.views):
        parts = []
        for part in torch.split(images, BATCH):
            parts.append(embed(backbone, augment(part, recipe.augment, random), device))
            advance(len(part))
        views.append(torch.cat(parts))
    return torch.stack(views)


def fit_head(
    views: Tensor, data: ImageSet, recipe: ProbeRecipe, sampling: DataRecipe, *, seed: int
) -> tuple[Tensor, Tensor]:
    """Fit weight (14, 512) and bias (14,) with Adam and cosine annealing.

    Embeddings are standardised for the fit and the standardisation is folded into the head, because the paper's
    learning rate of 5e-2 presupposes inputs of unit scale.
    """
    torch.manual_seed(seed)
    mean, spread = views.mean(dim=(0, 1)), views.std(dim=(0, 1)).clamp(min=1e-3)
    inputs, targets = (views - mean) / spread, torch.from_numpy(data.targets)
    chances = torch.tensor(
        sampling_weights(data.rows, source_power=sampling.source_power, ood_share=sampling.ood_share)
    )
    head = torch.nn.Linear(EMBEDDING, len(LABELS))
    optimiser = torch.optim.Adam(head.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    per_epoch = max(1, len(targets) // BATCH)
    random = torch.Generator().manual_seed(seed)
    for step in range(recipe.epochs * per_epoch):
        chosen = torch.multinomial(chances, BATCH, replacement=True, generator=random)
        view = torch.randint(len(views), (BATCH,), generator=random)
        for group in optimiser.param_groups:
            group["lr"] = cosine(step, total=recipe.epochs * per_epoch, base=recipe.learning_rate)
        loss = classification(head(inputs[view, chosen]), targets[chosen], outlier_weight=recipe.outlier_weight)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    weight = (head.weight / spread).detach()
    return weight, (head.bias - weight @ mean).detach()
