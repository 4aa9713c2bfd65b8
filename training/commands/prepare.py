"""`python -m training prepare`."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dicom_node.media import MediaFile
from training.archive import Looked, deidentified, files_of, look, read_labels
from training.commands.inputs import warn_of_twins
from training.commands.options import (
    OutOption,
    RecipeOption,
    SeedOption,
    ledger_option,
    name_option,
    path_option,
    refuse_unused,
)
from training.counts import region_counts, write_counts
from training.errors import TrainingError
from training.image_file import in_order
from training.images import MANIFEST, ImageSet, LeftOut, Picture, check_not_corrected, read_pictures, write_set
from training.key import Shares, keep_shares, open_key
from training.ledger_files import ledger_files
from training.manifest import USES, Row, check_groups, read_manifest
from training.progress import progress
from training.recipe import read_recipe
from training.telling import tell


def prepare(
    context: typer.Context,
    out: OutOption,
    data: Annotated[
        list[Path] | None, path_option("--data", help="Manifests (*.csv), folders, zip archives, DICOMDIR media.")
    ] = None,
    recipe: RecipeOption = None,
    seed: SeedOption = 0,
    ledger: Annotated[str | None, ledger_option(help="The node's ledger: its URL, or node.toml.")] = None,
    spool: Annotated[Path | None, path_option(help="The node's spool, where --ledger is a URL.")] = None,
    labels: Annotated[
        Path | None,
        path_option(help="Reviewed labels (CSV: sop_instance_uid, region); they go before the ledger's, and headers."),
    ] = None,
    key: Annotated[
        Path | None, path_option(help="Folder for the key to the patients' groups; discarded when absent.")
    ] = None,
    source: Annotated[str, name_option(help="What to call the archive that folders come from.")] = "archive",
    tune: Annotated[float, typer.Option(help="Share of an archive's patients to tune on.")] = 0.16,
    evaluate: Annotated[float, typer.Option(help="Share of an archive's patients to evaluate on.")] = 0.2,
    workers: Annotated[int, typer.Option(min=0, help="Processes or threads; one per core when 0.")] = 0,
) -> None:
    """Manifests, archives or the node's ledger -> one cleaned uint8 cache, split by patient, with a page to look at."""
    paths, size, workers = data or [], read_recipe(recipe).data.size, workers or os.cpu_count() or 1
    if not paths and ledger is None:
        raise TrainingError("There is nothing to prepare: name --data or --ledger.")
    check_not_corrected(out)
    _refuse_unused(context, archives=any(path.suffix.lower() != ".csv" for path in paths), ledger=ledger is not None)
    shares = Shares(tune=tune, evaluate=evaluate, seed=seed)
    manifests = [path for path in paths if path.suffix.lower() == ".csv"]
    rows = [row for path in manifests for row in read_manifest(path)]
    check_groups(rows)
    _say_unread_manifests(paths)
    given, met = read_labels(labels), set[str]()
    left_out: list[tuple[str, str]] = []
    with files_of([path for path in paths if path not in manifests], out=out) as (found, results):
        for folder in results:
            tell(f"passed over, an earlier result: {folder}")
        files = [(media, source, "") for media in found] + (ledger_files(ledger, spool) if ledger else [])
        if not rows and not files:
            raise TrainingError(f"There is no file to prepare in {', '.join(map(str, paths)) or 'the ledger'}.")
        if given and not files:
            raise TrainingError("--labels names objects of archives and of the ledger; a manifest has a column for it.")
        parts = [_from_manifests(rows, size, workers)]
        if files:
            opened = open_key(key, out=out)
            keep_shares(opened, shares)
            looked = _looked(
                files,
                lambda media, name, said: look(media, size=size, source=name, labels=given, reviewed=said),
                workers,
            )
            parts.append(deidentified(_noted(looked, met), opened, shares, out=out))
        made = write_set(_listed(chain.from_iterable(parts), left_out), out, size=size)
    write_counts(made, left_out, out / "index.html", seed=seed)
    _say(made, len(left_out), out)
    if labels is not None:
        _say_met(len(given.keys() & met), len(given), labels)
    warn_of_twins(out)


def _refuse_unused(context: typer.Context, *, archives: bool, ledger: bool) -> None:
    if not ledger:
        refuse_unused(context, ["spool"], "it goes with --ledger")
    if not archives:
        refuse_unused(context, ["source"], "manifests and the ledger say where each image comes from")
    if not archives and not ledger:
        refuse_unused(context, ["key", "tune", "evaluate"], "a manifest says what group and use each image has")


def _say_unread_manifests(paths: list[Path]) -> None:
    """A folder's pictures are read as they are, although a manifest in it may tell what they show."""
    for manifest in (path / MANIFEST for path in paths if path.is_dir() and path / MANIFEST not in paths):
        if manifest.is_file():
            tell(f"{manifest} is not read: for the regions that it names, give it instead of its folder.")


def _from_manifests(rows: list[Row], size: int, workers: int) -> Iterator[Picture | LeftOut]:
    if rows:
        with progress("prepare", len(rows)) as shown:
            yield from read_pictures(rows, size=size, workers=workers, advance=shown.advance)


def _looked(
    files: list[tuple[MediaFile, str, str]], reader: Callable[[MediaFile, str, str], Looked | None], workers: int
) -> Iterator[Looked]:
    """Threads, not processes: members of one archive share its open file, and decoding lets go of the interpreter."""
    with progress("read", len(files)) as shown, ThreadPoolExecutor(max_workers=workers) as pool:
        for one in in_order(pool, lambda file: reader(*file), files, ahead=4 * workers):
            shown.advance(1)
            if one is not None:
                yield one


def _noted(looked: Iterable[Looked], met: set[str]) -> Iterator[Looked]:
    """The same; the SOP Instance UIDs of what gave an image are noted as it passes."""
    for one in looked:
        if one.image is not None:
            met.add(one.uid)
        yield one


def _listed(items: Iterable[Picture | LeftOut], left_out: list[tuple[str, str]]) -> Iterator[Picture | LeftOut]:
    """The same items; what is left out is listed as it passes."""
    for item in items:
        if isinstance(item, LeftOut):
            left_out.append((item.file, item.why))
        yield item


def _say(made: ImageSet, left_out: int, out: Path) -> None:
    table = Table("region", *USES, "all", title="images (groups)")
    for line in region_counts(made.rows):
        table.add_row(line["region"] or "not labelled", *(f"{cell['n']} ({cell['groups']})" for cell in line["cells"]))
    Console().print(table)
    Console().print(f"{len(made.rows)} of {len(made.rows) + left_out} pictures, {made.size} px, in {out}")


def _say_met(met: int, given: int, labels: Path) -> None:
    Console(stderr=not met).print(
        f"{met} of {given} objects in {labels} have an image here"
        + ("" if met else ": NOT ONE reviewed label was taken; are its SOP Instance UIDs those of this archive?"),
        highlight=False,
        soft_wrap=True,
    )
