"""`python -m training simulate`."""

import os
from pathlib import Path
from typing import Annotated, get_args

import numpy as np
import typer
from rich.console import Console

from dicom_node.imaging import grey_from_dataset, picture_from_file
from dicom_node.object_file import open_object
from training.commands.options import OutOption, RecipeOption, SeedOption, path_option
from training.errors import TrainingError
from training.images import IMAGES, MANIFEST
from training.manifest import Row, read_manifest
from training.progress import progress
from training.recipe import read_recipe
from training.simulate.contact_sheet import Bytes, contact_sheet, write_page
from training.simulate.formats import FORMATS, Format
from training.simulate.generate import Job, open_people
from training.simulate.generate import simulate as run
from training.simulate.tone import to_bytes

SHEET, SHOWN = "contact_sheet.jpg", 12


def simulate(
    atlas: Annotated[Path, path_option("--atlas", help="Folder with the skeleton's STL files.")],
    out: OutOption,
    count: Annotated[int, typer.Option("--count", min=1, help="Images in all.")],
    seed: SeedOption = 0,
    recipe: RecipeOption = None,
    kind: Annotated[str, typer.Option("--format", help="cache (a prepared data set), png, jpeg or dicom.")] = "cache",
    workers: Annotated[int, typer.Option(min=0, help="Processes; one per core when 0.")] = 0,
) -> None:
    """A skeleton's meshes -> simulated radiographs of all regions; run it again to go on where it was stopped."""
    job = Job(
        atlas=atlas,
        out=out,
        count=count,
        seed=seed,
        size=read_recipe(recipe).data.size,
        recipe=read_recipe(recipe).simulate,
        format=_format(kind),
        open_scenes=open_people,
    )
    with progress("simulate", count) as shown:
        run(job, workers=workers or os.cpu_count() or 1, advance=shown.advance)
    write_page(out / SHEET, _sheet(job))
    Console().print(f"{count} images in {out}; {SHEET} shows some of each region.")


def _format(text: str) -> Format:
    for name in FORMATS:
        if name == text:
            return name
    raise TrainingError(f"There is no format '{text}': choose one of {', '.join(get_args(Format))}.")


def _sheet(job: Job) -> Bytes:
    """The first images of each region."""
    rows = read_manifest(job.out / MANIFEST)
    chosen: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        first = chosen.setdefault(row.region, [])
        if len(first) < SHOWN:
            first.append(index)
    order = [index for indexes in chosen.values() for index in indexes]
    if job.format == "cache":
        prepared = np.load(job.out / IMAGES, mmap_mode="r")
        images = [np.asarray(prepared[index], np.uint8) for index in order]
    else:
        images = [_read(rows[index], job.format) for index in order]
    return contact_sheet(images, [rows[index].region for index in order], columns=SHOWN)


def _read(row: Row, kind: Format) -> Bytes:
    return to_bytes(grey_from_dataset(open_object(row.file)) if kind == "dicom" else picture_from_file(row.file))
