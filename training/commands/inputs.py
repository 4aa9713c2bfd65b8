"""What the commands share: their options, and what they read before they begin."""

import os
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from training.errors import TrainingError
from training.heads import Classifier, embed
from training.images import ABOUT, IMAGES, ImageSet, joined, load
from training.images import prepare as prepare_images
from training.manifest import read_manifest
from training.metrics import summary
from training.progress import progress
from training.recipe import Recipe, read_recipe
from training.runs import recipe_of

RecipeOption = Annotated[Path | None, typer.Option("--recipe", help="TOML file; the defaults when absent.")]
DataOption = Annotated[list[Path], typer.Option("--data", help="Manifests or prepared folders, one or more.")]
OutOption = Annotated[Path, typer.Option("--out", help="The run folder.")]
FromOption = Annotated[Path, typer.Option("--from", help="The earlier run's folder, or a model file.")]
SeedOption = Annotated[int, typer.Option("--seed")]


def recipe_for(path: Path | None, source: Path) -> Recipe:
    """The named recipe, or the one that the earlier run was made with."""
    return read_recipe(path) if path else recipe_of(source)


def measured_by(classifier: Classifier, data: ImageSet, device: torch.device) -> tuple[torch.Tensor, dict[str, Any]]:
    """The logits of all rows (N, 14) and the metrics of those that show a region."""
    if not data.rows:
        raise TrainingError("The data has no rows that nothing was learned from: add tune rows or raise data.held_out.")
    with progress("embed", len(data.rows)) as shown:
        embeddings = embed(classifier.backbone, torch.from_numpy(data.images), device, advance=shown.advance)
    logits = classifier.logits(embeddings)
    return logits, summary(logits.double().softmax(dim=1).numpy(), data.targets)


def say(metrics: dict[str, Any]) -> None:
    Console().print({name: value for name, value in metrics.items() if name != "per_region"})


def gather(paths: list[Path], recipe: Recipe, out: Path) -> ImageSet:
    """Prepared folders as they are; a plain manifest is prepared into the run folder first."""
    whole = joined([load(path) for path in prepared(paths, recipe, out)])
    if whole.size != recipe.data.size:
        raise TrainingError(f"The data was prepared at {whole.size} px, the recipe says {recipe.data.size}.")
    return whole


def prepared(paths: list[Path], recipe: Recipe, out: Path) -> list[Path]:
    """The prepared folders among `paths`; for each plain manifest one in the run folder, made unless it is there."""
    out.mkdir(parents=True, exist_ok=True)
    folders = []
    for number, path in enumerate(paths):
        into = out / f"prepared-{number}"
        if path.is_dir() or (path.parent / IMAGES).exists():
            folders.append(path)
            continue
        if not (into / ABOUT).exists():
            rows = read_manifest(path)
            with progress("prepare", len(rows)) as shown:
                workers = os.cpu_count() or 1
                prepare_images(rows, size=recipe.data.size, out=into, workers=workers, advance=shown.advance)
        folders.append(into)
    return folders


def device_here() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
