"""`python -m training prepare`."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dicom_node.media import MediaFile
from training.archive import Deidentified, Looked, deidentified, files_of, look, read_labels
from training.commands.inputs import OutOption, RecipeOption, SeedOption
from training.counts import region_counts, write_counts
from training.errors import TrainingError
from training.images import ImageSet, UInt8Array, read_pictures, write_set
from training.key import Key, Shares, keep_shares, open_key
from training.ledger_files import ledger_files
from training.manifest import USES, Row, check_groups, read_manifest
from training.progress import progress
from training.recipe import read_recipe


def prepare(
    out: OutOption,
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="Manifests (*.csv), folders, zip archives, DICOMDIR media.")
    ] = None,
    recipe: RecipeOption = None,
    seed: SeedOption = 0,
    ledger: Annotated[str | None, typer.Option(help="The node's ledger: its URL, or node.toml.")] = None,
    spool: Annotated[Path | None, typer.Option(help="The node's spool, where --ledger is a URL.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Reviewed labels (CSV: sop_instance_uid, region); they go before the ledger's, and headers."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Folder for the key to the patients' groups; discarded when absent.")
    ] = None,
    source: Annotated[str, typer.Option(help="What to call the archive that folders come from.")] = "archive",
    tune: Annotated[float, typer.Option(help="Share of an archive's patients to tune on.")] = 0.16,
    evaluate: Annotated[float, typer.Option(help="Share of an archive's patients to evaluate on.")] = 0.2,
    workers: Annotated[int, typer.Option(help="Processes or threads; one per core when 0.")] = 0,
) -> None:
    """Manifests, archives or the node's ledger -> one cleaned uint8 cache, split by patient, with a page to look at."""
    paths, size, workers = data or [], read_recipe(recipe).data.size, workers or os.cpu_count() or 1
    if not paths and ledger is None:
        raise TrainingError("There is nothing to prepare: name --data or --ledger.")
    manifests = [path for path in paths if path.suffix.lower() == ".csv"]
    images, left_out = _from_manifests(manifests, size, workers)
    with files_of([path for path in paths if path not in manifests]) as found:
        files = [(media, source, "") for media in found] + (ledger_files(ledger, spool) if ledger else [])
        shares, given = Shares(tune=tune, evaluate=evaluate, seed=seed), read_labels(labels)
        if files:
            opened = open_key(key, out=out)
            keep_shares(opened, shares)
            archive = _from_archive(
                files,
                lambda media, name, said: look(media, size=size, source=name, labels=given, reviewed=said),
                key=opened,
                shares=shares,
                out=out,
                workers=workers,
            )
            images, left_out = images + archive.images, left_out + archive.left_out
    check_groups([row for row, _ in images])
    made = write_set(images, out, size=size, unreadable=left_out)
    write_counts(made, left_out, out / "index.html", seed=seed)
    _say(made, len(left_out), out)


def _from_manifests(
    paths: list[Path], size: int, workers: int
) -> tuple[list[tuple[Row, UInt8Array]], list[tuple[str, str]]]:
    rows = [row for path in paths for row in read_manifest(path)]
    check_groups(rows)
    if not rows:
        return [], []
    with progress("prepare", len(rows)) as shown:
        return read_pictures(rows, size=size, workers=workers, advance=shown.advance)


def _from_archive(
    files: list[tuple[MediaFile, str, str]],
    reader: Callable[[MediaFile, str, str], Looked | None],
    *,
    key: Key,
    shares: Shares,
    out: Path,
    workers: int,
) -> Deidentified:
    """Threads, not processes: members of one archive share its open file, and decoding lets go of the interpreter."""
    with progress("read", len(files)) as shown, ThreadPoolExecutor(max_workers=workers) as pool:

        def looked() -> Iterator[Looked]:
            for one in pool.map(lambda file: reader(*file), files):
                shown.advance(1)
                if one is not None:
                    yield one

        return deidentified(looked(), key, shares, out=out)


def _say(made: ImageSet, left_out: int, out: Path) -> None:
    table = Table("region", *USES, "all", title="images (groups)")
    for line in region_counts(made.rows):
        table.add_row(line["region"] or "not labelled", *(f"{cell['n']} ({cell['groups']})" for cell in line["cells"]))
    Console().print(table)
    Console().print(f"{len(made.rows)} of {len(made.rows) + left_out} pictures, {made.size} px, in {out}")
