"""`python -m training pretrain`."""

import contextlib
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import torch
import typer

from training.commands.inputs import prepared
from training.commands.options import DataOption, OutOption, RecipeOption, SeedOption, path_option
from training.distributed import Ranks, join_ranks, leave_ranks
from training.manifest import is_learned_from
from training.order import steps_of
from training.pool import Pool, open_pool
from training.pretrain import pretrain as run_pretrain
from training.progress import progress
from training.recipe import Recipe, read_recipe
from training.runs import METRICS, save_weights, write_json, write_run
from training.start import first_weights, told_of


def pretrain(
    data: DataOption,
    out: OutOption,
    recipe: RecipeOption = None,
    seed: SeedOption = 0,
    source: Annotated[
        Path | None, path_option("--from", help="Start with the weights of this run or model file.")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,  # noqa: FBT002 - Typer's way
    minutes: Annotated[float, typer.Option(min=0.0, help="Stop after these; the same command goes on.")] = math.inf,
) -> None:
    """Train the backbone; a killed run continues with the same command. With several GPUs: under torchrun."""
    chosen = read_recipe(recipe)
    with _ranks() as (ranks, device):
        learned = _learned(data, chosen, out, ranks)
        first = first_weights(source, learned, chosen.data.size) if source else None
        images = steps_of(chosen.pretrain, len(learned.rows)) * chosen.pretrain.batch
        with progress("pretrain", images) if ranks.is_first else contextlib.nullcontext() as shown:
            trained = run_pretrain(
                learned,
                chosen,
                seed=seed,
                out=out,
                device=device,
                ranks=ranks,
                first=first,
                compiled=compiled,
                advance=shown.advance if shown else lambda _images, _loss: None,
                minutes=minutes,
            )
    if shown is None:
        return
    save_weights(out, trained.weights)
    done = {"step": trained.step, "steps": trained.steps}
    if shown.mean_loss is not None or not (out / METRICS).exists():  # a finished run that is repeated has no new loss
        write_json(out / METRICS, {"loss": shown.mean_loss, "n": len(learned.rows), **done})
    now, earlier = datetime.now(UTC), told_of(source) if source else None
    write_run(
        out, command="pretrain", recipe=chosen, seed=seed, data=learned, now=now, earlier=earlier,
        processes=ranks.size, **done,
    )  # fmt: skip


@contextlib.contextmanager
def _ranks() -> Iterator[tuple[Ranks, torch.device]]:
    ranks, device = join_ranks()
    try:
        yield ranks, device
    finally:
        leave_ranks(ranks)


def _learned(data: list[Path], recipe: Recipe, out: Path, ranks: Ranks) -> Pool:
    """The rows to learn from; the first process prepares what is not prepared yet, the others wait for it."""
    if ranks.is_first:
        prepared(data, recipe, out)
    ranks.wait()
    whole = open_pool(prepared(data, recipe, out), at_least=recipe.data.size)
    return whole.where(lambda row: is_learned_from(row, recipe.data))
