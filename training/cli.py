"""`python -m training`: one command per step, each reads its data and leaves a run folder."""

import dataclasses
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from dicom_node.errors import ModelError
from dicom_node.model.card import LABELS, ModelCard, Thresholds
from dicom_node.model.session import Model
from training.calibrate import choose_thresholds, worst_temperature
from training.errors import TrainingError
from training.evaluate import evaluate as run_evaluate
from training.export import export as write_onnx
from training.heads import Classifier, embed, load_backbone, load_classifier
from training.images import ImageSet, joined, load
from training.images import prepare as prepare_images
from training.manifest import is_calibrated_on, is_learned_from, read_manifest
from training.metrics import summary
from training.pretrain import pretrain as run_pretrain
from training.probe import cached_views, fit_head
from training.progress import evaluation_table, progress
from training.recipe import DataRecipe, Recipe, read_recipe
from training.runs import (
    METRICS,
    load_weights,
    read_run,
    recipe_of,
    save_weights,
    sources,
    training_summary,
    write_json,
    write_run,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)

RecipeOption = Annotated[Path | None, typer.Option("--recipe", help="TOML file; the defaults when absent.")]
DataOption = Annotated[list[Path], typer.Option("--data", help="Manifests or prepared folders, one or more.")]
OutOption = Annotated[Path, typer.Option("--out", help="The run folder.")]
FromOption = Annotated[Path, typer.Option("--from", help="The earlier run's folder, or a model file.")]
SeedOption = Annotated[int, typer.Option("--seed")]


@app.command()
def prepare(
    data: DataOption,
    out: OutOption,
    recipe: RecipeOption = None,
    workers: Annotated[int, typer.Option(help="Processes; one per core when 0.")] = 0,
) -> None:
    """Manifests -> one cleaned uint8 cache, through the node's own imaging."""
    rows = [row for path in data for row in read_manifest(path)]
    size = read_recipe(recipe).data.size
    with progress("prepare", len(rows)) as shown:
        made = prepare_images(rows, size=size, out=out, workers=workers or os.cpu_count() or 1, advance=shown.advance)
    Console().print(f"{len(made.rows)} of {len(rows)} pictures, {size} px, in {out}")


@app.command()
def pretrain(
    data: DataOption,
    out: OutOption,
    recipe: RecipeOption = None,
    seed: SeedOption = 0,
    source: Annotated[Path | None, typer.Option("--from", help="Start with this run's weights.")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,  # noqa: FBT002 - Typer's way
) -> None:
    """Train the backbone; a killed run continues with the same command."""
    chosen = read_recipe(recipe)
    first = load_weights(source) if source else None
    learned = _data(data, chosen, out).where(lambda row: is_learned_from(row, chosen.data))
    with progress("pretrain", chosen.pretrain.samples) as shown:
        weights = run_pretrain(
            learned,
            chosen,
            seed=seed,
            out=out,
            device=_device(),
            first=first,
            compiled=compiled,
            advance=shown.advance,
        )
    save_weights(out, weights)
    write_json(out / METRICS, {"loss": shown.mean_loss, "n": len(learned.rows)})
    now, earlier = datetime.now(UTC), read_run(source) if source else None
    write_run(out, command="pretrain", recipe=chosen, seed=seed, data=learned, now=now, earlier=earlier)


@app.command()
def probe(
    data: DataOption, out: OutOption, source: FromOption, recipe: RecipeOption = None, seed: SeedOption = 0
) -> None:
    """Fit the linear head on the frozen backbone; measured on the held-out groups."""
    chosen, device = _recipe(recipe, source), _device()
    whole = _data(data, chosen, out)
    learned = whole.where(lambda row: is_learned_from(row, chosen.data))
    if chosen.probe.head == "keep":
        classifier = load_classifier(source)
    else:
        backbone = load_backbone(source)
        with progress("embed", len(learned.rows) * chosen.probe.views) as shown:
            views = cached_views(backbone, learned, chosen.probe, seed=seed, device=device, advance=shown.advance)
        weight, bias = fit_head(views, learned, chosen.probe, chosen.data, seed=seed)
        classifier = Classifier(backbone=backbone, weight=weight, bias=bias)
    held_out = whole.where(lambda row: row.use == "train" and is_calibrated_on(row, chosen.data))
    _, metrics = _measured(classifier, held_out, device)
    save_weights(out, classifier.weights())
    write_json(out / METRICS, metrics)
    write_run(out, command="probe", recipe=chosen, seed=seed, data=learned, now=datetime.now(UTC))
    _say(metrics)


@app.command()
def calibrate(
    data: DataOption, out: OutOption, source: FromOption, recipe: RecipeOption = None, seed: SeedOption = 0
) -> None:
    """Fit temperature and thresholds on rows that no weight was learned from: tune, calibrate, held-out groups."""
    chosen, device = _recipe(recipe, source), _device()
    whole = _data(data, chosen, out)
    learned = whole.where(lambda row: is_learned_from(row, chosen.data))
    held = whole.where(lambda row: is_calibrated_on(row, chosen.data))
    raw = load_classifier(source)
    logits, before = _measured(raw, held, device)
    temperature = worst_temperature(logits, torch.from_numpy(held.targets), held.rows)
    classifier = dataclasses.replace(raw, temperature=raw.temperature * temperature)
    calibrated, metrics = _measured(classifier, held, device)
    thresholds = choose_thresholds(calibrated.double().numpy(), held.rows, chosen.calibrate)
    save_weights(out, classifier.weights())
    chosen_values = {"temperature": classifier.temperature, **dataclasses.asdict(thresholds)}
    write_json(out / METRICS, {**metrics, "ece_before": before["ece"], **chosen_values})
    write_run(
        out,
        command="calibrate",
        recipe=chosen,
        seed=seed,
        data=learned,
        now=datetime.now(UTC),
        thresholds=dataclasses.asdict(thresholds),
        calibrated_on=sources(held),
    )
    _say({**metrics, **chosen_values})


@app.command()
def export(
    out: OutOption,
    source: FromOption,
    float16: Annotated[bool, typer.Option("--float16", help="Half the file size; computes in float32.")] = False,  # noqa: FBT002 - Typer's way
) -> None:
    """A calibrated run -> model.onnx, which the node opens."""
    run, recipe = read_run(source), recipe_of(source)
    if "thresholds" not in run:
        raise TrainingError(f"The run {source} has no thresholds: run `python -m training calibrate --from {source}`.")
    classifier = load_classifier(source)
    card = ModelCard(
        name=recipe.name,
        version=recipe.version,
        labels=LABELS,
        input_size=recipe.data.size,
        imaging_version=run["imaging_version"],
        temperature=classifier.temperature,
        thresholds=Thresholds(**run["thresholds"]),
        training=training_summary(source),
    )
    out.mkdir(parents=True, exist_ok=True)
    path = out / "model.onnx"
    difference = write_onnx(classifier, card, path, float16=float16)
    Model.open(path)
    write_json(out / METRICS, {"difference_from_torch": difference, "bytes": path.stat().st_size})
    Console().print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, differs from torch by at most {difference:.1g}")


@app.command()
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
    chosen = _data(data, sized, out).where(lambda row: not use or row.use in use)
    with progress("evaluate", len(chosen.rows)) as shown:
        measured = run_evaluate(model, chosen, turn=turn, advance=shown.advance)
    write_json(out / METRICS, measured)
    Console().print(evaluation_table(measured["cells"]))


def _recipe(path: Path | None, source: Path) -> Recipe:
    """The named recipe, or the one that the earlier run was made with."""
    return read_recipe(path) if path else recipe_of(source)


def _measured(classifier: Classifier, data: ImageSet, device: torch.device) -> tuple[torch.Tensor, dict[str, Any]]:
    """The logits of all rows (N, 14) and the metrics of those that show a region."""
    if not data.rows:
        raise TrainingError("The data has no rows that nothing was learned from: add tune rows or raise data.held_out.")
    with progress("embed", len(data.rows)) as shown:
        embeddings = embed(classifier.backbone, torch.from_numpy(data.images), device, advance=shown.advance)
    logits = classifier.logits(embeddings)
    return logits, summary(logits.double().softmax(dim=1).numpy(), data.targets)


def _say(metrics: dict[str, Any]) -> None:
    Console().print({name: value for name, value in metrics.items() if name != "per_region"})


def _data(paths: list[Path], recipe: Recipe, out: Path) -> ImageSet:
    """Prepared folders as they are; a plain manifest is prepared into the run folder first."""
    out.mkdir(parents=True, exist_ok=True)
    sets = []
    for number, path in enumerate(paths):
        try:
            sets.append(load(path))
        except TrainingError:
            if path.is_dir() or (path.parent / "images.npy").exists():
                raise
            rows = read_manifest(path)
            with progress("prepare", len(rows)) as shown:
                into, workers = out / f"prepared-{number}", os.cpu_count() or 1
                made = prepare_images(rows, size=recipe.data.size, out=into, workers=workers, advance=shown.advance)
            sets.append(made)
    whole = joined(sets)
    if whole.size != recipe.data.size:
        raise TrainingError(f"The data was prepared at {whole.size} px, the recipe says {recipe.data.size}.")
    return whole


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _spread(arguments: list[str]) -> list[str]:
    """Let `--data A B` stand for `--data A --data B`, as a shell's wildcard gives it."""
    spread: list[str] = []
    inside = False
    for argument in arguments:
        if argument.startswith("-"):
            inside = argument == "--data"
        elif inside and spread[-1] != "--data":
            spread.append("--data")
        spread.append(argument)
    return spread


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what the user can mend ends in one sentence and status 2. Always raises SystemExit."""
    try:
        app(args=_spread(sys.argv[1:] if arguments is None else arguments), prog_name="python -m training")
    except (TrainingError, ModelError) as error:
        Console(stderr=True).print(f"[red]{error}[/red]", highlight=False, soft_wrap=True)
        sys.exit(2)
