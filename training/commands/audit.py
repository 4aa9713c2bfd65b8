"""`python -m training audit`."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from dicom_node.model.card import LABELS
from training.audit import CLASSES, Audit, classes_of, fitted_head
from training.audit import audit as run_audit
from training.commands.inputs import check_uses, device_here, pooled
from training.commands.options import DataOption, FromOption, OutOption, RecipeOption, SeedOption, refuse_unused
from training.embeddings import Encoder, check_takes, open_encoder
from training.errors import TrainingError
from training.metrics import Floats
from training.pages import inlined, overlaid, percent, write_page
from training.planting import plant as plant_errors
from training.pool import Pool
from training.progress import progress
from training.recipe import Recipe, read_recipe
from training.runs import METRICS, write_json, write_run
from training.splits import was_learned_from
from training.table_files import write_table

CANDIDATES = "candidates.csv"
USES = ("train", "tune", "calibrate")


def audit(
    context: typer.Context,
    data: DataOption,
    out: OutOption,
    source: FromOption,
    recipe: RecipeOption = None,
    seed: SeedOption = 0,
    use: Annotated[
        list[str] | None, typer.Option(help="Only rows with these uses; all but evaluate if absent.")
    ] = None,
    unseen: Annotated[bool, typer.Option("--unseen", help="Only rows that the model did not learn from.")] = False,  # noqa: FBT002 - Typer's way
    plant: Annotated[
        int, typer.Option(min=0, help="Instead: plant errors and measure what is found, with so many seeds.")
    ] = 0,
    shown: Annotated[int, typer.Option(min=0, help="Candidates on the page.")] = 200,
) -> None:
    """Find labels that are probably wrong: candidates.csv, worst first, and a page to look through."""
    check_uses(use)
    if plant:
        refuse_unused(context, ["shown"], "--plant measures, and makes no page")
    encoder = open_encoder(source, device_here())
    chosen = read_recipe(recipe) if recipe else Recipe(data=encoder.data)
    check_takes(encoder, chosen.data.size)
    labelled = pooled(data, chosen, out).where(
        lambda row: (
            row.is_labelled and row.use in (use or USES) and not (unseen and was_learned_from(row, encoder.splits))
        )
    )
    if not labelled.rows:
        raise TrainingError("The data has no labelled rows for an audit.")
    with progress("embed", len(labelled.rows)) as bar:
        embeddings = encoder.embed(labelled.images, bar.advance)
    given = classes_of(labelled.rows)
    about: dict[str, Any] = {"model": encoder.name, "method": encoder.method, "backbone_saw_labels": encoder.saw_labels}
    if plant:
        seeds = range(seed, seed + plant)
        lines = plant_errors(embeddings, labelled.rows, given, chosen.audit, seeds=seeds)
        write_json(out / METRICS, {**about, "n": len(given), "unseen": unseen, "planted": lines})
        _say_planted(lines)
    else:
        made = run_audit(embeddings, labelled.rows, given, chosen.audit, seed=seed)
        _write_candidates(made, out)
        counts = {"n": len(given), "candidates": len(made.found.rows), "unseen": unseen}
        tables = {"per_class": made.per_class(), "per_source": made.per_source()}
        write_json(out / METRICS, {**about, **counts, **tables})
        _write_page(made, labelled, encoder, embeddings, chosen, out, seed=seed, shown=shown)
        _say(made, out)
    write_run(out, command="audit", recipe=chosen, seed=seed, data=labelled, now=datetime.now(UTC), model=encoder.name)


def _write_candidates(made: Audit, out: Path) -> None:
    columns = ("file", "given", "proposed", "probability", "score")
    lines = ({**line, "file": os.path.relpath(line["file"], out)} for line in made.candidates())
    write_table(out / CANDIDATES, columns, [[line[name] for name in columns] for line in lines])


def _write_page(
    made: Audit,
    data: Pool,
    encoder: Encoder,
    embeddings: Floats,
    recipe: Recipe,
    out: Path,
    *,
    seed: int,
    shown: int,
) -> None:
    rows, lines = made.found.rows[:shown], made.candidates()[:shown]
    head = fitted_head(embeddings, made.given, recipe.audit)
    # There is no map of "none of them": the best of the 14 shows what the image was taken for.
    best = made.probabilities[rows][:, : len(LABELS)].argmax(axis=1)
    proposed = np.where(made.found.proposed[:shown] < len(LABELS), made.found.proposed[:shown], best)
    maps = encoder.maps(data.images[rows], proposed, head.for_all_classes()[: len(LABELS)])
    cards = [
        {
            **line,
            "file": os.path.relpath(line["file"], out),
            "source": data.rows[row].source,
            "image": inlined(data.images[row]),
            "map": inlined(overlaid(data.images[row], activation)),
        }
        for line, row, activation in zip(lines, rows, maps, strict=True)
    ]
    write_page(
        out / "index.html",
        "audit.html",
        title="Labels that are probably wrong",
        n=len(made.given),
        groups=len({row.group for row in made.rows}),
        folds=recipe.audit.folds,
        seed=seed,
        model=encoder.name,
        method=encoder.method,
        saw_labels=encoder.saw_labels,
        candidates=len(made.found.rows),
        outside=any(line["proposed"] not in LABELS for line in lines),
        per_class=made.per_class(),
        per_source=made.per_source(),
        unjudged=[CLASSES[index] for index in made.found.unjudged],
        shown=len(cards),
        cards=cards,
    )


def _say(made: Audit, out: Path) -> None:
    table = Table("label", "images", "doubted", "estimated wrong", "proposed instead")
    for line in made.per_class():
        wrong, proposals = percent(line["estimated"]), ", ".join(line["proposals"])
        table.add_row(line["name"], str(line["n"]), str(line["candidates"]), wrong, proposals)
    Console().print(table)
    if len(made.found.unjudged):
        names = ", ".join(CLASSES[index] for index in made.found.unjudged)
        Console().print(f"not judged, since all of it is in one fold, of one patient, say: {names}")
    Console().print(f"{len(made.found.rows)} of {len(made.given)} labels doubted; {out / 'index.html'} shows them")


def _say_planted(lines: list[dict[str, Any]]) -> None:
    table = Table("planted", "seeds", "errors", "listed", "recall", "precision", "of the first n", "mended")
    for line in lines:
        shares = (
            "–" if line[name] is None else f"{line[name]:.3f} ± {line[name + '_spread']:.3f}"
            for name in ("recall", "precision", "top", "mended")
        )
        table.add_row(line["planting"], str(line["seeds"]), f"{line['planted']:.0f}", f"{line['listed']:.0f}", *shares)
    Console().print(table)
