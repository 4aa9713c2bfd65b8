"""`python -m training evaluate`."""

from typing import Annotated

import typer
from rich.console import Console

from dicom_node.model.session import Model
from training.commands.inputs import DataOption, FromOption, OutOption, gather
from training.evaluate import evaluate as run_evaluate
from training.progress import evaluation_table, progress
from training.recipe import DataRecipe, Recipe
from training.runs import METRICS, write_json


def evaluate(
    data: DataOption,
    out: OutOption,
    source: FromOption,
    use: Annotated[list[str] | None, typer.Option(help="Only rows with these uses; all when absent.")] = None,
    turn: Annotated[int, typer.Option(help="Quarter turns to the left.")] = 0,
) -> None:
    """Measure a model file on labelled rows, per source and region, with intervals."""
    model = Model.open(source)
    sized = Recipe(data=DataRecipe(size=model.card.input_size))
    chosen = gather(data, sized, out).where(lambda row: not use or row.use in use)
    with progress("evaluate", len(chosen.rows)) as shown:
        measured = run_evaluate(model, chosen, turn=turn, advance=shown.advance)
    write_json(out / METRICS, measured)
    Console().print(evaluation_table(measured["cells"]))
