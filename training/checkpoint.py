"""Checkpoints: all that a run needs to go on as if it had not been killed."""

import dataclasses
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.averaging import Average
from training.errors import TrainingError
from training.recipe import Recipe, recipe_from
from training.whole_file import load_tensors, save_tensors

CHECKPOINT = "checkpoint.pt"
ANEW = "remove it to begin anew, or choose another --out"
_CHANGE_NOTHING = ("checkpoint_seconds", "log_every")


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """What changes with the steps: weights (`backbone` and `method`), the optimiser's memory, the moving average."""

    weights: nn.ModuleDict
    optimiser: torch.optim.Optimizer
    average: Average | None

    def handed_on(self) -> dict[str, Any]:
        """The weights that the next command gets: state dictionaries of `backbone` and `method`."""
        state = self.weights.state_dict() if self.average is None else self.average.state
        return {
            part: {name.removeprefix(part + "."): v for name, v in state.items() if name.startswith(part + ".")}
            for part in ("backbone", "method")
        }


def belongs_to(recipe: Recipe, *, seed: int, data: str, first: dict[str, Any] | None) -> dict[str, Any]:
    """What makes two runs the same: seed, rows (`Pool.fingerprint`), what of the recipe changes a weight, and the
    weights that the run begins with, where they are not random.
    """
    return {"seed": seed, "data": data, "recipe": _learned_by(recipe), "first": _digest(first) if first else ""}


def save(out: Path, state: State, about: dict[str, Any], *, step: int) -> None:
    """Write the checkpoint before step number `step`; an older one is replaced only once the new one is whole on the
    disk, so that none before it need be kept.
    """
    values = {
        **about,
        "step": step,
        "weights": state.weights.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "average": state.average.state if state.average else {},
    }
    save_tensors(out / CHECKPOINT, values)


def resume(out: Path, state: State, about: dict[str, Any]) -> int:
    """Load the checkpoint, if there is one, and return the next step's number.

    Raises:
        TrainingError: it belongs to another seed, recipe or data set, or began with other weights, or is damaged.
    """
    path = out / CHECKPOINT
    if not path.exists():
        return 0
    saved = load_tensors(path, instead=ANEW)
    if saved.get("seed") != about["seed"]:
        raise TrainingError(
            f"{path} belongs to seed {saved.get('seed')}: continue with that seed, or choose another --out."
        )
    if _learned_by_saved(saved.get("recipe", {})) != about["recipe"]:
        raise TrainingError(f"{path} belongs to another recipe: choose another --out.")
    # Checkpoints of older releases have of a fingerprint only what the rows say.
    if saved.get("data") not in (about["data"], about["data"].partition("-")[0]):
        raise TrainingError(f"{path} belongs to other data: choose another --out.")
    # Checkpoints of older releases do not say what they began with.
    if saved.get("first", about["first"]) != about["first"]:
        raise TrainingError(f"{path} began with other weights: continue with that --from, or choose another --out.")
    try:
        state.weights.load_state_dict(saved["weights"])
        state.optimiser.load_state_dict(saved["optimiser"])
        if state.average is not None:
            state.average.load(saved["average"])
        return int(saved["step"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise TrainingError(f"{path} does not fit the networks of this version: {ANEW}.") from error


def _digest(first: dict[str, Any]) -> str:
    """Of the matrices and convolutions alone: batch norms that a model file's export folded away are measured anew,
    and the number of threads changes their last bits.
    """
    digest = sha256()
    for part in ("backbone", "method"):
        for name, value in sorted(first.get(part, {}).items()):
            if value.ndim >= 2:
                digest.update(f"{part}.{name}".encode())
                digest.update(value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _learned_by(recipe: Recipe) -> dict[str, Any]:
    plan = {name: value for name, value in dataclasses.asdict(recipe.pretrain).items() if name not in _CHANGE_NOTHING}
    return {"data": dataclasses.asdict(recipe.data), "pretrain": plan}


def _learned_by_saved(values: dict[str, Any]) -> dict[str, Any]:
    """The same of a checkpoint's recipe; keys that came later have their defaults, and unknown ones fit no recipe."""
    try:
        return _learned_by(recipe_from(values))
    except TrainingError:
        return {}
