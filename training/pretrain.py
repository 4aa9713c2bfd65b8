"""THE training loop, once, for every method."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.averaging import Average
from training.checkpoint import State, belongs_to, resume, save
from training.distributed import ALONE, Ranks
from training.encoder import Backbone, pooled
from training.errors import TrainingError
from training.feed import Feed, feed_from
from training.images import ImageSet
from training.logbook import Logbook
from training.methods import Embed, make_method
from training.order import steps_of
from training.pool import Pool
from training.recipe import PretrainRecipe, Recipe
from training.schedules import cosine


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """`weights` has the state dictionaries `backbone` and `method`; `step` of `steps` are done."""

    weights: dict[str, Any]
    step: int
    steps: int


def pretrain(
    data: ImageSet | Pool,
    recipe: Recipe,
    *,
    seed: int,
    out: Path,
    device: torch.device,
    ranks: Ranks = ALONE,
    first: dict[str, Any] | None = None,
    compiled: bool = False,
    feed: Feed | None = None,
    advance: Callable[[int, float], None] = lambda _images, _loss: None,
    minutes: float = math.inf,
    stop_after: int | None = None,
) -> Trained:
    """Train a backbone; continue where a killed run with the same `out` stopped.

    Every random choice of a step follows from the seed and the step's number, so that a resumed run is the same run,
    and so is one of several processes. On the CPU a resumed run is so bit by bit, with as many threads; on a GPU, and
    with several processes, sums in another order change the last bits.

    Args:
        data: what to learn from; held-out rows are the caller's to leave out.
        recipe: `pretrain` and `data` are read.
        seed: of the weights, the order and the augmentation.
        out: where the checkpoint, the log and TensorBoard's events go.
        device: where to compute.
        ranks: which of several processes this is.
        first: weights to begin with, as returned by an earlier call, instead of random ones; the method's are taken
            only when they fit.
        compiled: with `torch.compile`, which takes a minute first.
        feed: where views come from, if not from `data`; for benchmarks.
        advance: told the number of images after each step, and the loss: after each on the CPU, on a GPU whenever it is
            logged, since asking for it there waits for the step's end; NaN otherwise.
        minutes: stop, with a checkpoint, when these have passed; the same call goes on from there.
        stop_after: stop, with a checkpoint, before this step; for tests of the resumption.

    Returns:
        The weights, and how far they have come.

    Raises:
        TrainingError: there are no rows to learn from, or the run folder holds a checkpoint of something else.
    """
    plan = recipe.pretrain
    torch.manual_seed(seed)
    backbone = ranks.joined(Backbone().to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]
    if first is not None:  # before BYOL copies it
        backbone.load_state_dict(first["backbone"])
    method = ranks.joined(make_method(plan, ranks, backbone).to(device))
    pool = _usable(data if isinstance(data, Pool) else Pool.of(data), needs_labels=method.needs_labels)
    if first is not None:
        _take_over(method, first.get("method", {}))
    weights = nn.ModuleDict({"backbone": backbone, "method": method})
    learned = [each for each in weights.parameters() if each.requires_grad]
    optimiser = torch.optim.Adam(learned, lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True)
    state = State(weights=weights, optimiser=optimiser, average=Average(weights, plan.ema) if plan.ema > 0 else None)
    about = belongs_to(recipe, seed=seed, data=pool.fingerprint, first=first)
    start, steps = resume(out, state, about), steps_of(plan, len(pool.rows))
    advance(start * plan.batch, math.nan)

    if feed is None:
        feed = feed_from(pool, recipe, seed=seed, device=device, ranks=ranks, number_of_views=method.views)
    embed = _embedder(backbone, plan, device, compiled=compiled)
    weights.train()
    began = saved = time.monotonic()
    done = start
    with _logbook(out, ranks, start) as log:
        for step in range(start, steps if stop_after is None else min(steps, stop_after)):
            batch, targets = feed(step)
            rate = cosine(step, total=steps, base=plan.learning_rate, warmup=plan.warmup)
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = method.loss(embed, batch, targets)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            ranks.sum_gradients(learned)
            optimiser.step()
            method.after_step(backbone, step=step, steps=steps)
            if state.average is not None:
                state.average.update(weights, step)
            done = step + 1
            logged = step % plan.log_every == 0 or done == steps
            value = loss.item() if logged or device.type == "cpu" else math.nan
            advance(plan.batch, value)
            if log is not None:
                log.count(plan.batch)
                if logged:
                    log.write(step, loss=value, learning_rate=rate)
            now = time.monotonic()
            if now - saved > plan.checkpoint_seconds and ranks.is_first:
                save(out, state, about, step=done)
                saved = now
            if minutes < math.inf and ranks.any(now - began > minutes * 60.0, device):
                break
    if ranks.is_first:
        save(out, state, about, step=done)
    ranks.wait()
    return Trained(weights=state.handed_on(), step=done, steps=steps)


def _usable(pool: Pool, *, needs_labels: bool) -> Pool:
    usable = pool.where(lambda row: row.is_labelled) if needs_labels else pool
    if not usable.rows:
        raise TrainingError(
            "There is nothing to learn from: no row is for training, or none has the label that the method needs."
        )
    return usable


def _embedder(backbone: nn.Module, plan: PretrainRecipe, device: torch.device, *, compiled: bool) -> Embed:
    """The backbone as the methods call it: channels last, under autocast, pooled in float32."""
    run = torch.compile(backbone) if compiled else backbone

    def embed(images: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
            features = run(images.to(memory_format=torch.channels_last))
        return pooled(features)

    return embed


def _take_over(method: nn.Module, state: dict[str, Any]) -> None:
    """The method's own weights from an earlier run, where they are of the same kind."""
    own = method.state_dict()
    if {name: value.shape for name, value in state.items()} == {name: value.shape for name, value in own.items()}:
        method.load_state_dict(state)


@contextlib.contextmanager
def _logbook(out: Path, ranks: Ranks, start: int) -> Iterator[Logbook | None]:
    """The first process's logbook; the others have none."""
    if not ranks.is_first:
        yield None
        return
    book = Logbook(out, start=start)
    try:
        yield book
    finally:
        book.close()
