"""THE training loop, once, for every method."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.augment import augment
from training.encoder import Backbone, pooled
from training.errors import TrainingError
from training.images import ImageSet
from training.manifest import sampling_weights
from training.methods import make_method
from training.recipe import Recipe
from training.schedules import cosine

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"


def pretrain(
    data: ImageSet,
    recipe: Recipe,
    *,
    seed: int,
    out: Path,
    device: torch.device,
    first: dict[str, Any] | None = None,
    compiled: bool = False,
    advance: Callable[[int, float], None] = lambda _images, _loss: None,
    stop_after: int | None = None,
) -> dict[str, Any]:
    """Train a backbone; continue exactly where a killed run with the same `out` stopped.

    Every random choice of a step follows from the seed and the step's number, so that a resumed run is the same run.

    Args:
        data: what to learn from; held-out rows are the caller's to leave out.
        recipe: `pretrain` and `data` are read.
        seed: of the weights, the order and the augmentation.
        out: where the checkpoint and the log go.
        device: where to compute.
        first: weights to begin with, as returned by an earlier call, instead of random ones; the method's are taken
            only when they fit.
        compiled: with `torch.compile`, which takes a minute first.
        advance: told the number of images and the loss after each step.
        stop_after: stop, with a checkpoint, before this step; for tests of the resumption.

    Returns:
        The weights: `backbone` and `method`, as state dictionaries.
    """
    plan = recipe.pretrain
    steps = max(1, plan.samples // plan.batch)
    torch.manual_seed(seed)
    backbone = Backbone().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    method = make_method(plan).to(device)
    if first is not None:
        _begin_with(first, backbone, method)
    weights = nn.ModuleDict({"backbone": backbone, "method": method})
    optimiser = torch.optim.Adam(weights.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    start = _resume(out / CHECKPOINT, weights, optimiser, seed)
    advance(start * plan.batch, float("nan"))

    images, targets = torch.from_numpy(data.images).to(device), torch.from_numpy(data.targets).to(device)
    chances = torch.tensor(
        sampling_weights(data.rows, source_power=recipe.data.source_power, ood_share=recipe.data.ood_share)
    )
    run_backbone = torch.compile(backbone) if compiled else backbone
    weights.train()
    saved = time.monotonic()
    for step in range(start, min(steps, stop_after or steps)):
        random = torch.Generator().manual_seed(seed * 1_000_003 + step)
        chosen = torch.multinomial(chances, plan.batch, replacement=True, generator=random).to(device)
        views = [augment(images[chosen], plan.augment, random) for _ in range(method.views)]
        batch = torch.cat(views).to(memory_format=torch.channels_last)
        for group in optimiser.param_groups:
            group["lr"] = cosine(step, total=steps, base=plan.learning_rate, warmup=plan.warmup)
        with torch.autocast(device.type, torch.bfloat16):
            features = run_backbone(batch)
        loss: Tensor = method(pooled(features), targets[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        advance(plan.batch, loss.item())
        _log(out / LOG, step=step, loss=round(loss.item(), 4), every=20)
        if time.monotonic() - saved > plan.checkpoint_seconds:
            _save(out / CHECKPOINT, weights, optimiser, seed, step + 1)
            saved = time.monotonic()
    _save(out / CHECKPOINT, weights, optimiser, seed, min(steps, stop_after or steps))
    return {"backbone": backbone.state_dict(), "method": method.state_dict()}


def _begin_with(first: dict[str, Any], backbone: nn.Module, method: nn.Module) -> None:
    backbone.load_state_dict(first["backbone"])
    own = method.state_dict()
    if {name: value.shape for name, value in first.get("method", {}).items()} == {n: v.shape for n, v in own.items()}:
        method.load_state_dict(first["method"])


def _save(path: Path, weights: nn.Module, optimiser: torch.optim.Optimizer, seed: int, step: int) -> None:
    temporary = path.with_suffix(".part")
    torch.save(
        {"weights": weights.state_dict(), "optimiser": optimiser.state_dict(), "seed": seed, "step": step}, temporary
    )
    temporary.replace(path)


def _resume(path: Path, weights: nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> int:
    """Load the checkpoint, if there is one, and return the next step's number."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["seed"] != seed:
        raise TrainingError(
            f"{path} belongs to seed {state['seed']}: continue with that seed, or choose another --out."
        )
    try:
        weights.load_state_dict(state["weights"])
    except RuntimeError as error:
        raise TrainingError(f"{path} belongs to another recipe: choose another --out.") from error
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


def _log(path: Path, *, every: int, **values: float) -> None:
    if values["step"] % every == 0:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(values) + "\n")
