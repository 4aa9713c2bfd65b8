"""The files that go between the clustering and the person who names clusters."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from training.cluster import Clusters
from training.errors import TrainingError
from training.manifest import Row
from training.metrics import Ints
from training.pages import inlined, sheet, write_page
from training.pool import Pool
from training.table_files import read_table, write_table

CLUSTERS, NAMES = "clusters.csv", "names.csv"
TYPICAL, FAR = 8, 4
"""How many of the nearest and of the farthest images of a cluster its sheet shows."""


def write_clusters(clusters: Clusters, rows: Sequence[Row], out: Path) -> None:
    """Write `clusters.csv`: file, cluster, distance; cluster by cluster, the most typical first."""
    order = np.lexsort((clusters.distance, clusters.cluster))
    lines = [
        (os.path.relpath(rows[row].file, out), int(clusters.cluster[row]), f"{clusters.distance[row]:.4f}")
        for row in order
    ]
    write_table(out / CLUSTERS, ("file", "cluster", "distance"), lines)


def read_clusters(rows: Sequence[Row], out: Path) -> Ints:
    """(N,) the cluster of each row, as `write_clusters` wrote it; -1 for rows that were not clustered.

    Raises:
        TrainingError: there is no such file, it holds none of the rows, or a line is without a cluster's number.
    """
    lines = _read(out / CLUSTERS, ("file", "cluster"))
    try:
        found = {line["file"]: int(line["cluster"]) for line in lines}
    except ValueError as error:
        raise TrainingError(
            f"{out / CLUSTERS} has a line without a cluster's number: restore it, or cluster again."
        ) from error
    cluster = np.array([found.get(os.path.relpath(row.file, out), -1) for row in rows], np.int64)
    if (cluster < 0).all():
        raise TrainingError(f"{out / CLUSTERS} holds none of these images: give the same --data and --out as before.")
    return cluster


def write_names(clusters: Clusters, names: Mapping[int, str], out: Path) -> None:
    """Write `names.csv`: cluster, n, name; a person fills in what `names` lacks."""
    counts = np.bincount(clusters.cluster)
    write_table(out / NAMES, ("cluster", "n", "name"), [(i, int(n), names.get(i, "")) for i, n in enumerate(counts)])


def check_not_named(out: Path) -> None:
    """Refuse, before anything is computed, to number the clusters anew where a person has named the earlier ones.

    Raises:
        TrainingError: `names.csv` in `out` has a name, or cannot be read, so that it may have some.
    """
    if (out / NAMES).exists() and any(read_names(out / NAMES).values()):
        raise TrainingError(
            f"{out / NAMES} has names, which would be lost, since new clusters have other numbers: give another --out, "
            f"or remove the file; to use the names give --names {out / NAMES}, without --from."
        )


def read_names(path: Path) -> dict[int, str]:
    """The names of clusters, as `write_names` wrote them and a person completed them.

    Raises:
        TrainingError: the file cannot be read.
    """
    try:
        return {int(line["cluster"]): line["name"].strip().lower() for line in _read(path, ("cluster", "name"))}
    except (ValueError, AttributeError) as error:
        raise TrainingError(f"{path} has a line without a cluster's number or name.") from error


def write_sheets(clusters: Clusters, data: Pool, names: Mapping[int, str], path: Path, *, model: str) -> None:
    """Write the page of contact sheets: of each cluster the most typical images, and the farthest, which show whether
    it is of one kind.
    """
    cards = []
    for number in range(clusters.count):
        rows = clusters.nearest_first(number)
        typical, far = rows[:TYPICAL], rows[TYPICAL:][-FAR:]
        cards.append(
            {
                "number": number,
                "n": len(rows),
                "name": names.get(number, ""),
                "radius": float(clusters.distance[rows].mean()),
                "typical": inlined(sheet(data.images[typical], TYPICAL)),
                "far": inlined(sheet(data.images[far], FAR)) if len(far) else None,
            }
        )
    write_page(path, "clusters.html", title="Clusters", n=len(data.rows), model=model, cards=cards)


def _read(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        lines = read_table(path)
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read: {error}.") from error
    if not lines or not set(columns) <= set(lines[0]):
        raise TrainingError(f"{path} is no CSV with the columns {', '.join(columns)}.")
    return [{name: value or "" for name, value in line.items()} for line in lines]
