"""Several processes, one run: torchrun starts them, and the losses are those of one process with the whole batch.

Each process computes its slice of the batch. What enters a loss is gathered from all of them, every process computes
the loss of the whole batch, and its gradient reaches the weights through the process's own slice; the sum over the
processes is then the gradient of one process. So no loss needs to know of the others, and SimCLR's and SupCon's
negatives are those of the whole batch.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from training.errors import TrainingError

M = TypeVar("M", bound=nn.Module)

PATIENCE = timedelta(days=7)
"""How long `Ranks.wait` waits for the others: the first process may be preparing a whole archive."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process's number among `size` processes; `ALONE` needs no process group.

    `waiting` is the group in which they wait for each other, with `PATIENCE`. That of the steps keeps its backend's
    time-out (NCCL: 10 minutes), so that a step in which one of them hangs ends.
    """

    rank: int = 0
    size: int = 1
    waiting: dist.ProcessGroup | None = field(default=None, compare=False)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def slice_of(self, batch: int) -> tuple[int, int]:
        """Start and stop of this process's part of a batch.

        Raises:
            TrainingError: the batch cannot be shared evenly.
        """
        if batch % self.size:
            raise TrainingError(f"A batch of {batch} cannot be shared by {self.size} processes: change pretrain.batch.")
        each = batch // self.size
        return self.rank * each, (self.rank + 1) * each

    def gathered(self, x: Tensor) -> Tensor:
        """(B / size, ...) of every process -> (B, ...) in the processes' order; the gradient is the own slice's."""
        if self.size == 1:
            return x
        gathered: Tensor = _Gather.apply(x, self)
        return gathered

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the gradients of all processes, in place, in one message."""
        if self.size == 1:
            return
        gradients = [each.grad for each in parameters if each.grad is not None]
        flat = torch.cat([each.reshape(-1) for each in gradients])
        dist.all_reduce(flat)
        for each, part in zip(gradients, torch.split(flat, [each.numel() for each in gradients]), strict=True):
            each.copy_(part.view_as(each))

    def any(self, here: bool, device: torch.device) -> bool:  # noqa: FBT001 - a question about one value
        """Whether it is true in any process."""
        if self.size == 1:
            return here
        flag = torch.tensor(float(here), device=device)
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag.item())

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier(group=self.waiting)

    def joined(self, module: M) -> M:
        """The module with batch norms whose statistics are those of the whole batch.

        On GPUs torch's SyncBatchNorm; it has no CPU version, so there ours, which is slower and meant for small runs
        and tests.
        """
        if self.size == 1:
            return module
        if next(module.parameters()).is_cuda:
            synced: M = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
            return synced
        for parent in list(module.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                    setattr(parent, name, _CrossRankBatchNorm.like(child))
        return module


ALONE = Ranks()


def join_ranks() -> tuple[Ranks, torch.device]:
    """What torchrun's environment says: this process's number and device. Joins the process group if there is one."""
    cuda = torch.cuda.is_available()
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE, torch.device("cuda" if cuda else "cpu")
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    waiting = dist.new_group(backend="gloo", timeout=PATIENCE)
    assert isinstance(waiting, dist.ProcessGroup)  # it is of all of them
    return Ranks(rank=dist.get_rank(), size=size, waiting=waiting), device


def leave_ranks(ranks: Ranks) -> None:
    """Leave the process group, if there is one."""
    if ranks.size > 1:
        dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    """Every process computes the same loss of the same whole batch, so its own slice's gradient is all it needs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.start, ctx.stop = ranks.rank * len(x), (ranks.rank + 1) * len(x)
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(ranks.size)]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[ctx.start : ctx.stop], None


class _Sum(torch.autograd.Function):
    """The sum over the processes; what each of them makes of it adds up in the gradient."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class _CrossRankBatchNorm(_BatchNorm):
    """Batch norm (Ioffe and Szegedy 2015) over the equally large slices of all processes, in float32."""

    @classmethod
    def like(cls, other: nn.BatchNorm1d | nn.BatchNorm2d) -> "_CrossRankBatchNorm":
        made = cls(other.num_features, eps=other.eps, momentum=other.momentum)
        made.weight, made.bias = other.weight, other.bias
        for name, value in other.named_buffers():
            setattr(made, name, value)
        return made

    def _check_input_dim(self, _input: Tensor) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        over = [axis for axis in range(x.dim()) if axis != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        wide, size = x.float(), dist.get_world_size()
        mean: Tensor = _Sum.apply(wide.mean(over)) / size
        centred = wide - mean.view(shape)
        variance: Tensor = _Sum.apply(centred.square().mean(over)) / size
        n = wide.numel() / wide.shape[1] * size
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            assert self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (n / (n - 1)), self.momentum)
            self.num_batches_tracked.add_(1)
        scaled = centred * (variance + self.eps).rsqrt().view(shape) * self.weight.view(shape) + self.bias.view(shape)
        return scaled.to(x.dtype)
