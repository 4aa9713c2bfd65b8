"""Which rows each step learns from, as a function of the seed and the step alone, so that a resumed run is the same."""

import torch
from torch import Tensor

from training.manifest import sampling_weights
from training.pool import Pool
from training.recipe import DataRecipe, PretrainRecipe


class Order:
    """`rows` (B,) of a step, for the whole batch of all processes."""

    def __init__(self, pool: Pool, recipe: DataRecipe, *, batch: int, seed: int) -> None:
        self._n, self._batch, self._seed = len(pool.rows), batch, seed
        self._epoch, self._shuffled = -1, torch.zeros(0, dtype=torch.int64)
        self._chances: Tensor | None = None
        if recipe.sampling == "balanced":
            weights = sampling_weights(pool.rows, source_power=recipe.source_power, ood_share=recipe.ood_share)
            # Searched rather than given to torch.multinomial, which works through all rows at every step.
            self._chances = torch.tensor(weights, dtype=torch.float64).cumsum(0)

    def rows(self, step: int, random: torch.Generator) -> Tensor:
        """Drawn by their shares with `random`, or the step's stretch of the endless row of shuffled epochs."""
        if self._chances is not None:
            at = torch.rand(self._batch, dtype=torch.float64, generator=random) * self._chances[-1]
            return torch.searchsorted(self._chances, at, right=True).clamp(max=self._n - 1)
        first = step * self._batch
        parts, position = [], first
        while position < first + self._batch:
            epoch, inside = divmod(position, self._n)
            until = min(self._n, inside + first + self._batch - position)
            parts.append(self._of_epoch(epoch)[inside:until])
            position += until - inside
        return torch.cat(parts)

    def _of_epoch(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            random = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._epoch, self._shuffled = epoch, torch.randperm(self._n, generator=random)
        return self._shuffled


def steps_of(plan: PretrainRecipe, rows: int) -> int:
    """How many steps a run takes: `epochs` passes over the rows, or `samples` images."""
    return max(1, (plan.epochs * rows if plan.epochs else plan.samples) // plan.batch)
