"""A moving average of the weights, which is steadier than the weights of any one step."""

from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of a module's parameters and buffers (Polyak averaging, as mean teachers use it).

    The decay rises as (1 + step) / (10 + step) until it reaches `decay`, so that the random start is soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state: dict[str, Tensor] = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the module's weights after step number `step`; whole numbers (counters) are taken over."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = module.state_dict()
        averaged = [name for name, value in current.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.state[n] for n in averaged], [current[n] for n in averaged], 1.0 - decay)
        for name in current.keys() - set(averaged):
            self.state[name].copy_(current[name])

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` held when a checkpoint was written."""
        for name, value in state.items():
            self.state[name].copy_(value)
