"""`python -m training cluster`."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.cluster import DISCARD, Clusters, clustered, majority_names, quality, weakly_labelled
from training.cluster_files import (
    NAMES,
    TYPICAL,
    check_not_named,
    read_clusters,
    read_names,
    write_clusters,
    write_names,
    write_sheets,
)
from training.cluster_names import agreed, counted, read_reviewed, told
from training.commands.inputs import device_here, pooled
from training.commands.options import (
    DataOption,
    OutOption,
    RecipeOption,
    SeedOption,
    ledger_option,
    path_option,
    refuse_unused,
)
from training.embeddings import check_takes, open_encoder
from training.errors import TrainingError
from training.images import check_not_corrected, write_set
from training.pool import Pool
from training.progress import progress
from training.recipe import Recipe, read_recipe
from training.runs import METRICS, recipe_of, write_json, write_run
from training.telling import tell

LABELLED = "labelled"


def cluster(
    context: typer.Context,
    data: DataOption,
    out: OutOption,
    source: Annotated[Path | None, path_option("--from", help="A run folder or a model file.")] = None,
    recipe: RecipeOption = None,
    seed: SeedOption = 0,
    names: Annotated[
        Path | None, path_option(help="The filled-in names.csv: makes a data set of weak labels from it.")
    ] = None,
    ledger: Annotated[
        str | None,
        ledger_option(help="The node's ledger (its URL, or node.toml): its labels name what names.csv does not."),
    ] = None,
    key: Annotated[Path | None, path_option(help="What `prepare --key` was given, for --ledger.")] = None,
    name_from_labels: Annotated[  # noqa: FBT002 - Typer's way
        bool, typer.Option("--name-from-labels", help="Name clusters by their images' labels, to measure the way.")
    ] = False,
) -> None:
    """Sort images into clusters with contact sheets; with --names or --ledger, turn their names into weak labels."""
    if ledger is None:
        refuse_unused(context, ["key"], "it goes with --ledger")
    if names is not None or ledger is not None:
        why = "--names and --ledger give labels to clusters that are there, and make none"
        refuse_unused(context, ["source", "seed", "name_from_labels"], why)
        given = read_names(names) if names is not None else {}
        check_not_corrected(out / LABELLED)
        # Without --recipe the one that the clusters were made with: its size is the model's.
        chosen = read_recipe(recipe) if recipe else recipe_of(out)
        _label(pooled(data, chosen, out), given, out, ledger=ledger, key=key)
        return
    if source is None:
        raise TrainingError(
            "Name the model that makes the embeddings with --from, or what names the clusters with --names or --ledger."
        )
    check_not_named(out)
    encoder = open_encoder(source, device_here())
    chosen = read_recipe(recipe) if recipe else Recipe(data=encoder.data)
    check_takes(encoder, chosen.data.size)
    # Held-out groups too, so that `probe` and `calibrate` have weak labels to measure on; tuning and evaluation rows
    # are for measuring what comes of the names.
    learned = pooled(data, chosen, out).where(lambda row: row.use == "train")
    if not learned.rows:
        raise TrainingError("The data has no rows to learn from.")
    with progress("embed", len(learned.rows)) as bar:
        embeddings = encoder.embed(learned.images, bar.advance)
    made = clustered(embeddings, chosen.cluster, seed=seed)
    regions = [row.region for row in learned.rows]
    given = majority_names(made, regions, shown=TYPICAL) if name_from_labels else {}
    write_clusters(made, learned.rows, out)
    write_names(made, given, out)
    write_sheets(made, learned, given, out / "index.html", model=encoder.name)
    metrics = {"n": len(regions), "clusters": made.count, "backbone_saw_labels": encoder.saw_labels}
    measured = {**metrics, **_against_labels(made, regions)}
    write_json(out / METRICS, measured)
    write_run(out, command="cluster", recipe=chosen, seed=seed, data=learned, now=datetime.now(UTC), model=encoder.name)
    Console().print(measured)
    Console().print(f"look at {out / 'index.html'}, fill in {out / NAMES}, and run again with --names {out / NAMES}")


def _against_labels(made: Clusters, regions: list[str]) -> dict[str, float]:
    """NMI and purity over the labelled rows, where there are any."""
    labelled = [row for row, region in enumerate(regions) if region]
    if not labelled:
        return {}
    kinds = ["ood" if regions[row].startswith("ood:") else regions[row] for row in labelled]
    return {"labelled": len(labelled), **quality(made.cluster[labelled], kinds)}


def _of_clusters(given: dict[int, str], count: int) -> dict[int, str]:
    """The name of each of the clusters, empty where none was given; says which names are of no cluster."""
    strange = sorted(number for number, name in given.items() if name and not 0 <= number < count)
    if strange:
        tell(
            f"names of clusters that there are not among these images, left out: {', '.join(map(str, strange))}; were "
            "they given to an earlier clustering?"
        )
    return {number: given.get(number, "") for number in range(count)}


def _agreed_names(counts: dict[int, Counter[str]], named: dict[int, str]) -> dict[int, str]:
    """What reviewed images name those clusters that have no name yet; says what they leave without one, and why."""
    open_still = {number: each for number, each in counts.items() if not named[number]}
    names = {number: agreed(each) for number, each in open_still.items()}
    for sentence in told({number: each for number, each in open_still.items() if not names[number]}):
        Console().print(sentence, highlight=False, soft_wrap=True)
    Console().print(f"clusters named by the ledger's reviewed images: {sum(map(bool, names.values()))}")
    return names


def _label(whole: Pool, given: dict[int, str], out: Path, *, ledger: str | None, key: Path | None) -> None:
    numbers = read_clusters(whole.rows, out)
    named = _of_clusters(given, int(numbers.max()) + 1)
    if ledger is not None:
        named |= _agreed_names(counted(numbers, read_reviewed(whole.rows, ledger, key, out=out)), named)
    made = weakly_labelled(whole, numbers, named)
    write_set(zip(made.rows, made.images, strict=True), out / LABELLED, size=whole.size)
    counts = Counter(row.region for row in made.rows)
    discarded = sum(name == DISCARD for name in named.values())
    Console().print(dict(sorted(counts.items())))
    Console().print(
        f"{len(made.rows)} of {int((numbers >= 0).sum())} images labelled as {len(counts)} regions, {discarded} of "
        f"{len(named)} clusters discarded, {sum(not name for name in named.values())} not named; "
        f"give {out / LABELLED} to `probe`"
    )
