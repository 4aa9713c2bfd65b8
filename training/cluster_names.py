"""Names of clusters from what people said of single images: the reviewed labels in the node's ledger."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.errors import TrainingError
from training.key import SALT, Key, open_key
from training.ledger_files import ledger_labels
from training.manifest import Row
from training.metrics import Ints

REVIEWED, AGREE = 3, 0.8
"""A cluster has a name when at least so many of its images were reviewed and this share of them shows the same."""


def read_reviewed(rows: Sequence[Row], ledger: str, key: Path | None, *, out: Path) -> list[str]:
    """What people said in the ledger that each row (N,) shows, empty where nobody did.

    Raises:
        TrainingError: the ledger or the key cannot be read, or the ledger knows or has reviewed none of the rows.
    """
    kept = _kept_key(key, out)
    said = {kept.origin(uid): region for uid, region in ledger_labels(ledger).items()}
    found = [said.get(row.origin) for row in rows]
    if all(region is None for region in found):
        raise TrainingError(
            "The ledger knows none of these images: give the ledger that holds them and the key that they were "
            "prepared with; pictures, and what was prepared without --key, cannot be found again."
        )
    if not any(found):
        raise TrainingError("The ledger has no label of these images: add some with `dicom-node label`.")
    return [region or "" for region in found]


def _kept_key(folder: Path | None, out: Path) -> Key:
    if folder is None or not (folder / SALT).is_file():
        which = "--ledger needs --key" if folder is None else f"{folder} holds no key"
        raise TrainingError(
            f"{which}: name the folder that `prepare --key` was given, the only way back to the objects."
        )
    return open_key(folder, out=out)


def counted(cluster: Ints, reviewed: Sequence[str]) -> dict[int, Counter[str]]:
    """How many images of each cluster were said to show what, of the clusters with any; -1 is no cluster."""
    counts: dict[int, Counter[str]] = {}
    for number, region in zip(cluster.tolist(), reviewed, strict=True):
        if region and number >= 0:
            counts.setdefault(number, Counter())[region] += 1
    return counts


def agreed(counts: Counter[str]) -> str:
    """What the reviewed images of a cluster name it; empty where they are too few or disagree."""
    region, n = counts.most_common(1)[0]
    return region if counts.total() >= REVIEWED and n >= AGREE * counts.total() else ""


def told(counts: Mapping[int, Counter[str]]) -> list[str]:
    """Why clusters with these reviewed images have no name: a sentence for each that disagrees, one for all others."""
    mixed = {number: each for number, each in sorted(counts.items()) if len(each) > 1}
    sentences = [
        f"cluster {number} is not named, its reviewed images disagree: "
        + ", ".join(f"{region} {n}" for region, n in each.most_common())
        for number, each in mixed.items()
    ]
    few = len(counts) - len(mixed)
    if few:
        sentences.append(f"clusters not named for having fewer than {REVIEWED} reviewed images: {few}")
    return sentences
