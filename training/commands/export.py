"""`python -m training export`."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dicom_node.model.card import LABELS, ModelCard, Thresholds
from dicom_node.model.session import Model
from training.adapting import MODEL
from training.commands.options import FromOption, OutOption, path_option
from training.drawn import drawn
from training.errors import TrainingError
from training.images import ImageSet
from training.manifest import Row
from training.pool import open_pool
from training.reopen import open_file
from training.runs import (
    METRICS,
    check_own_run,
    load_weights,
    read_run,
    recipe_of,
    training_summary,
    write_json,
    write_use,
)
from training.shrink import SMALL_NAME, shrink
from training.smaller import as_float16
from training.spared import check_spared
from training.splits import splits_of, unnamed_labels, was_learned_from
from training.telling import tell

PICTURES = 2500
"""At most so many of --data are looked at: a tenth of a point is then two or three images."""

LEAST = 3
"""A third of them gives int8 its ranges, the others judge."""


def export(
    out: OutOption,
    source: FromOption,
    data: Annotated[
        list[Path] | None,
        path_option("--data", help="Prepared folders, real images first of all, by which the smaller file is judged."),
    ] = None,
    turns: Annotated[
        int,
        typer.Option(
            min=0, help="Views that are averaged: what the run was calibrated on, or nothing is exported; 0: that."
        ),
    ] = 0,
    float16: Annotated[bool, typer.Option("--float16", help="Store model.onnx itself in half the size.")] = False,  # noqa: FBT002 - Typer's way
) -> None:
    """A calibrated run, or a model file -> model.onnx, and with --data a smaller one that answers the same."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / MODEL
    check_spared([path, *([out / SMALL_NAME] if data else [])], [source])
    check_own_run(out, "export")
    facts: dict[str, Any] = {}
    if source.is_dir():
        read_run(source)
        facts["difference_from_torch"] = export_run(source, path, turns=turns)
    elif turns:
        raise TrainingError("--turns needs a run folder: a model file's thresholds belong to its own views.")
    else:
        model, _ = open_file(source)
        path.write_bytes(model.SerializeToString())
    if float16:
        path.write_bytes(as_float16(open_file(path)[0]).SerializeToString())
    card = Model.open(path).card
    heads = ("file", "MB", "ms per image, one core", "top 1", "same region as float32", "tagged", "tagged wrongly")
    table = Table(*heads, title=card.name)
    if data:
        small, measured = shrink(path, out / SMALL_NAME, _judges(data, card))
        Model.open(out / SMALL_NAME)
        facts["small"], facts["files"] = small, {name: asdict(each) for name, each in measured.items()}
        for name, each in measured.items():
            top1 = "-" if each.top1 is None else f"{each.top1:.4f}"
            shares = (f"{share:.4f}" for share in (each.agrees, each.tagged, each.wrongly_tagged))
            table.add_row(name, f"{each.bytes / 1e6:.1f}", f"{each.milliseconds:.1f}", top1, *shares)
        Console().print(table)
        Console().print(f"{out / SMALL_NAME}: {small}")
    write_json(out / METRICS, {**facts, "bytes": path.stat().st_size})
    write_use(out, command="export", now=datetime.now(UTC), model=Model.open(path).model_id, made_from=source.name)
    difference = f", differs from torch by at most {facts['difference_from_torch']:.1g}" if source.is_dir() else ""
    Console().print(f"{path}: {path.stat().st_size / 1e6:.1f} MB{difference}")


def export_run(source: Path, path: Path, *, turns: int = 0) -> float:
    """Write a calibrated run's model file, with the views that it was calibrated on.

    Returns:
        The largest difference from torch.

    Raises:
        TrainingError: the run was not calibrated, or on other views than `turns`, or the file differs too much.
    """
    from training.export import export as write_onnx
    from training.heads import load_classifier

    card, classifier = card_of_run(source), load_classifier(source)
    calibrated = recipe_of(source).calibrate.turns
    if turns not in (0, calibrated):
        raise TrainingError(
            f"The thresholds of {source} were chosen on {calibrated} views of each image: to export {turns}, "
            f"calibrate it with turns = {turns} in [calibrate] of the recipe."
        )
    turns = calibrated
    if turns != 1:
        card = replace(card, training={**card.training, "turns": turns})
    return write_onnx(classifier, card, path, turns=turns)


def card_of_run(source: Path) -> ModelCard:
    """What a calibrated run's model file says of itself.

    Raises:
        TrainingError: the run is not calibrated.
    """
    run, recipe = read_run(source), recipe_of(source)
    if "thresholds" not in run:
        raise TrainingError(f"The run {source} has no thresholds: run `python -m training calibrate --from {source}`.")
    return ModelCard(
        name=recipe.name,
        version=recipe.version,
        labels=LABELS,
        input_size=recipe.data.size,
        imaging_version=run["imaging_version"],
        temperature=float(load_weights(source).get("temperature", 1.0)),
        thresholds=Thresholds(**run["thresholds"]),
        training=training_summary(source),
    )


def _judges(data: list[Path], card: ModelCard) -> ImageSet:
    """Rows that no weight was learned from but thresholds may have been set by: of the uses but `evaluate`, and of
    `train` those that each training of the model held out. A model that does not tell may have learned from any. It is
    said where labels taught it that no row can be told by.

    Raises:
        TrainingError: there are too few of them.
    """
    splits = splits_of(card.training)

    def judges(row: Row) -> bool:
        return row.use != "evaluate" and not (was_learned_from(row, splits) if splits else row.use == "train")

    if number := unnamed_labels(card.training):
        tell(
            f"{card.name} learned from {number} labelled images that its card does not name: do not judge the smaller "
            "file by them."
        )
    pool = open_pool(data, at_least=card.input_size).where(judges)
    if len(pool.rows) < LEAST:
        raise TrainingError(
            f"The data has {len(pool.rows)} rows that are not for evaluation and that the model did not learn from, "
            f"too few to judge a smaller file by: give {LEAST} at least, with the use tune or calibrate."
        )
    return drawn(pool, card.input_size, at_most=PICTURES)
