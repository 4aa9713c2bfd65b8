"""What a step is fed with: views of rows, as a function of the step alone."""

from collections.abc import Callable

import torch
from torch import Tensor

from training.augment import views
from training.distributed import Ranks
from training.draws import draw
from training.order import Order
from training.pool import Pool
from training.recipe import Recipe

Feed = Callable[[int], tuple[list[Tensor], Tensor]]
"""Step -> this process's views, (B / processes, 1, S, S) each, and the whole batch's targets (B,), on the device."""


def feed_from(
    pool: Pool, recipe: Recipe, *, seed: int, device: torch.device, ranks: Ranks, number_of_views: int
) -> Feed:
    """Rows by the recipe's order, augmented on the device. Chance is drawn for the whole batch, then this process's
    part of it is taken, so that the views do not depend on the number of processes.
    """
    plan, size = recipe.pretrain, recipe.data.size
    take, targets = pool.taker(device), torch.from_numpy(pool.targets)
    order, (low, high) = Order(pool, recipe.data, batch=plan.batch, seed=seed), ranks.slice_of(plan.batch)

    def feed(step: int) -> tuple[list[Tensor], Tensor]:
        random = torch.Generator().manual_seed(seed * 1_000_003 + step)
        chosen = order.rows(step, random)
        images = take(chosen[low:high])
        drawn = [draw(plan.batch, plan.augment, random, size=size) for _ in range(number_of_views)]
        return [views(images, each.part(low, high), size=size) for each in drawn], targets[chosen].to(device)

    return feed
