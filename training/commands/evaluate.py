"""`python -m training evaluate`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from dicom_node.model.session import Model
from training.commands.inputs import check_uses, pooled
from training.commands.options import DataOption, FromOption, OutOption, SeedOption
from training.errors import TrainingError
from training.evaluate import evaluate as run_evaluate
from training.manifest import OOD, Row
from training.progress import evaluation_table, progress, steadiness_table
from training.recipe import DataRecipe, Recipe
from training.runs import METRICS, check_own_run, sources, write_json, write_use
from training.splits import stages_of, unnamed_labels
from training.steadiness import steadiness
from training.telling import tell


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
    """Measure a model file on labelled rows, per source and region, with intervals; says how many it learned from."""
    if perturb and turn:
        raise TrainingError("--perturb turns the pictures itself: leave out --turn.")
    check_uses(use)
    check_own_run(out, "evaluate")
    model = Model.open(source)
    sized = Recipe(data=DataRecipe(size=model.card.input_size))
    chosen = pooled(data, sized, out).where(lambda row: not use or row.use in use)
    if not chosen.rows:
        raise TrainingError(f"The data has no rows with the use {' or '.join(use or ())}.")
    with progress("evaluate", len(chosen.rows)) as shown:
        measured = run_evaluate(model, chosen, turn=turn, advance=shown.advance)
    learned, unnamed = _learned_from(model, chosen.rows), unnamed_labels(model.card.training)
    if unnamed:
        measured |= {"learned_from_at_least": learned, "unnamed_labels": unnamed}
    measured["learned_from"] = None if unnamed else learned
    Console().print(evaluation_table(measured["cells"]))
    _warn_of_learned(learned, chosen.rows, model)
    if unnamed:
        tell(
            f"{model.model_id} also learned from {unnamed} labelled images that its card does not name: rows that are "
            "among them say little of images that it has not seen."
        )
    if perturb:
        # What shows no region has no answer that could be kept; what nobody labelled has.
        rows = [row for row in chosen.rows if row.target != OOD]
        with progress("perturb", len(rows)) as shown:
            measured["perturbed"] = steadiness(model, rows, seed=seed, advance=shown.advance)
        Console().print(steadiness_table(measured["perturbed"]))
    write_json(out / METRICS, measured)
    asked = {"use": use or [], "turn": turn, "perturb": perturb}
    about = {"model": model.model_id, "seed": seed, "asked": asked, "measured_on": sources(chosen)}
    write_use(out, command="evaluate", now=datetime.now(UTC), **about)


def _learned_from(model: Model, rows: Sequence[Row]) -> int | None:
    """Of how many rows a training of the model may have learned, by its card; None where that does not tell."""
    stages = stages_of(model.card.training)
    return sum(any(each.learned_from(row) for each in stages) for row in rows) if stages else None


def _warn_of_learned(learned: int | None, rows: Sequence[Row], model: Model) -> None:
    if learned is None and any(row.use == "train" for row in rows):
        sentence = f"{model.model_id} does not tell which rows it learned from, and there are train rows among these."
    elif learned:
        sentence = (
            f"{model.model_id} learned from {learned} of these {len(rows)} rows: what is measured on them says little "
            "of images that it has not seen. Leave them out with --use evaluate, or --use tune."
        )
    else:
        return
    tell(sentence)
