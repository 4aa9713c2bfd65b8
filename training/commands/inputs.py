"""What the commands share: what they read before they begin."""

import json
import os
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from training.drawn import drawn
from training.errors import TrainingError
from training.images import ABOUT, IMAGES, ImageSet, check_not_corrected
from training.images import prepare as prepare_images
from training.manifest import USES, Row, check_groups, read_manifest
from training.pool import Pool, open_pool
from training.progress import progress
from training.recipe import DataRecipe, Recipe, read_recipe
from training.runs import recipe_of
from training.splits import check_same_split, may_calibrate
from training.start import told_of
from training.telling import tell

MADE_FROM = "made_from.sha256"
"""In a folder that was prepared on the way: the digest of the manifest that it was made from."""


def recipe_for(path: Path | None, source: Path) -> Recipe:
    """The named recipe, or the one that the earlier run was made with.

    Raises:
        TrainingError: the named one splits the data in another way than the earlier run did.
    """
    if path is None:
        return recipe_of(source)
    recipe = read_recipe(path)
    check_same_split(recipe.data, told_of(source), source.name)
    return recipe


def held_rows(pool: Pool, size: int, own: Sequence[DataRecipe], before: Sequence[DataRecipe] = ()) -> ImageSet:
    """The labelled rows that no weight was learned from, at the model's input size: those that each split of `own`
    keeps for calibration, without those that one of `before` learned from.

    Raises:
        TrainingError: there are none that show a region.
    """
    held = drawn(pool.where(lambda row: row.is_labelled and may_calibrate(row, own, before)), size)
    if not (held.targets >= 0).any():
        raise TrainingError(
            "The data has no rows of a region that nothing was learned from: add tune rows or raise data.held_out."
        )
    return held


def check_uses(uses: Sequence[str] | None) -> None:
    """Refuse, before anything is read, a use that no row can have.

    Raises:
        TrainingError: there is one.
    """
    for use in uses or ():
        if use not in USES:
            raise TrainingError(f"--use {use}: the uses are {', '.join(USES)}.")


def check_labels(learned: Iterable[Row], held: Iterable[Row]) -> None:
    """Refuse, before anything is computed, to fit a head or to measure one where no row shows a region.

    Raises:
        TrainingError: none of one of them does.
    """
    if not any(row.target >= 0 for row in learned):
        raise TrainingError("The data has no rows of a region to learn from: label some with the use train.")
    if not any(row.target >= 0 for row in held):
        raise TrainingError(
            "The data has no rows of a region to measure on: add groups (patients) of train rows, or raise "
            "data.held_out before the backbone is trained; where it is 0, add tune rows."
        )


def say(metrics: dict[str, Any]) -> None:
    Console().print({name: value for name, value in metrics.items() if name != "per_region"})


def pooled(paths: list[Path], recipe: Recipe, out: Path) -> Pool:
    """Prepared folders as they are, their pixels left in their files whatever rows are chosen later; a plain manifest
    is prepared into the run folder first.
    """
    pool = open_pool(prepared(paths, recipe, out), at_least=recipe.data.size)
    if pool.size != recipe.data.size:
        raise TrainingError(f"The data was prepared at {pool.size} px, the recipe says {recipe.data.size}.")
    return pool


def prepared(paths: list[Path], recipe: Recipe, out: Path) -> list[Path]:
    """The prepared folders among `paths`; for each plain manifest one in the run folder, made unless it is there."""
    out.mkdir(parents=True, exist_ok=True)
    folders = []
    for number, path in enumerate(paths):
        if path.is_dir() or (path.parent / IMAGES).exists():
            folders.append(path)
            continue
        folders.append(out / f"prepared-{number}")
        _prepare_unless_there(path, folders[-1], size=recipe.data.size)
    return folders


def _prepare_unless_there(manifest: Path, into: Path, *, size: int) -> None:
    """Prepare a manifest, unless `into` was made from this very one: same content in the same folder."""
    rows = read_manifest(manifest)
    # The folder counts as well: the files of a manifest are named relative to it.
    digest = sha256(os.fsencode(f"{manifest.resolve().parent}\n") + manifest.read_bytes()).hexdigest()
    made_from = into / MADE_FROM
    if (into / ABOUT).exists() and made_from.exists() and made_from.read_text(encoding="utf-8").strip() == digest:
        return
    check_groups(rows)
    check_not_corrected(into)
    made_from.unlink(missing_ok=True)  # killed from here on, it is made from nothing that could be asked for again
    with progress("prepare", len(rows)) as shown:
        prepare_images(rows, size=size, out=into, workers=os.cpu_count() or 1, advance=shown.advance)
    made_from.write_text(digest + "\n", encoding="utf-8")
    warn_of_twins(into)


def warn_of_twins(folder: Path) -> None:
    """Say where a prepared folder has images that are the same to the pixel and do not stay on one side."""
    twins = json.loads((folder / ABOUT).read_text(encoding="utf-8")).get("twins", 0)
    if twins:
        tell(
            f"{twins} images in {folder} have the very pixels of an earlier one with another group or use: what is "
            "measured on them may have been learned. Give them one group and use, or remove them from the manifest."
        )


def device_here() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
