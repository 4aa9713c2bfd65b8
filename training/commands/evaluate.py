"""`python -m training evaluate`."""

from typing import Annotated

import typer
from rich.console import Console

from dicom_node.model.session import Model
from training.commands.inputs import DataOption, FromOption, OutOption, SeedOption, check_uses, gather
from training.errors import TrainingError
from training.evaluate import evaluate as run_evaluate
from training.manifest import OOD
from training.progress import evaluation_table, progress, steadiness_table
from training.recipe import DataRecipe, Recipe
from training.runs import METRICS, write_json
from training.steadiness import steadiness


def evaluate(
    data: DataOption,
    out: OutOption,
    source: FromOption,
    use: Annotated[list[str] | None, typer.Option(help="Only rows with these uses; all when absent.")] = None,
    turn: Annotated[int, typer.Option(help="Quarter turns to the left.")] = 0,
    perturb: Annotated[  # noqa: FBT002 - Typer's way
        bool, typer.Option("--perturb", help="Also: how often the answer changes when the pictures are changed.")
    ] = False,
    seed: SeedOption = 0,
) -> None:
    """Measure a model file on labelled rows, per source and region, with intervals."""
    if perturb and turn:
        raise TrainingError("--perturb turns the pictures itself: leave out --turn.")
    check_uses(use)
    model = Model.open(source)
    sized = Recipe(data=DataRecipe(size=model.card.input_size))
    chosen = gather(data, sized, out).where(lambda row: not use or row.use in use)
    if not chosen.rows:
        raise TrainingError(f"The data has no rows with the use {' or '.join(use or ())}.")
    with progress("evaluate", len(chosen.rows)) as shown:
        measured = run_evaluate(model, chosen, turn=turn, advance=shown.advance)
    Console().print(evaluation_table(measured["cells"]))
    if perturb:
        # What shows no region has no answer that could be kept; what nobody labelled has.
        rows = [row for row in chosen.rows if row.target != OOD]
        with progress("perturb", len(rows)) as shown:
            measured["perturbed"] = steadiness(model, rows, seed=seed, advance=shown.advance)
        Console().print(steadiness_table(measured["perturbed"]))
    write_json(out / METRICS, measured)
