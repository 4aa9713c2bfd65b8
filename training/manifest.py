"""Manifests: which image shows what, where it came from, and what it may be used for."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dicom_node.model.card import LABELS
from training.errors import TrainingError
from training.recipe import DataRecipe
from training.table_files import numbered_table

OOD, UNLABELLED = -1, -2
OOD_PREFIX = "ood:"
COLUMNS = ("file", "region", "group", "view", "use", "source", "licence", "origin")
USES = ("train", "calibrate", "tune", "evaluate")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One image. `region` is one of the 14, `ood:<kind>`, or empty where nobody knows; `group` (a patient, say) is
    never split.
    """

    file: Path
    region: str
    group: str
    use: str
    view: str = ""
    source: str = ""
    licence: str = ""
    origin: str = ""

    @property
    def target(self) -> int:
        """Index of the region in contract order, `OOD` for `ood:<kind>`, `UNLABELLED` for no region."""
        if not self.region:
            return UNLABELLED
        return OOD if self.region.startswith(OOD_PREFIX) else LABELS.index(self.region)

    @property
    def is_labelled(self) -> bool:
        """Whether the row says what it shows; the others are for self-supervision and clusters alone."""
        return bool(self.region)


def read_manifest(path: Path) -> list[Row]:
    """Read one manifest (CSV; file paths relative to it).

    Raises:
        TrainingError: the file is missing, is empty, lacks a column, or names an unknown region or use, or a file
            with two regions.
    """
    try:
        lines = numbered_table(path)
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"The manifest {path} cannot be read: {error}.") from error
    if not lines:
        raise TrainingError(
            f"The manifest {path} has no rows: one line for each image, under the names of the columns."
        )
    rows = [_row(line, path, number) for number, line in lines]
    _check_one_region(rows, [number for number, _ in lines], path)
    return rows


def _check_one_region(rows: Sequence[Row], numbers: Sequence[int], path: Path) -> None:
    """The files' names may be patients'; the lines' numbers say as much."""
    first: dict[Path, tuple[str, int]] = {}
    for row, number in zip(rows, numbers, strict=True):
        region, earlier = first.setdefault(row.file, (row.region, number))
        if row.region != region:
            raise TrainingError(
                f"{path}, line {number}: the same file as in line {earlier} with another region: an image has one."
            )


def _row(line: dict[str, str | None], path: Path, number: int) -> Row:
    values = {name: (line.get(name) or "").strip() for name in COLUMNS}
    for name in ("file", "group", "use"):
        if not values[name]:
            raise TrainingError(f"{path}, line {number}: the column '{name}' is missing or empty.")
    # An empty region is a statement; a column that is not there, or is misspelt, is none.
    if line.get("region") is None:
        raise TrainingError(f"{path}, line {number}: the column 'region' is missing; leave it empty if unknown.")
    if values["region"] and not is_region(values["region"]):
        raise TrainingError(
            f"{path}, line {number}: '{values['region']}' is neither one of the 14 regions nor 'ood:<kind>'."
        )
    if values["use"] not in USES:
        raise TrainingError(f"{path}, line {number}: the use '{values['use']}' is none of {', '.join(USES)}.")
    file = values.pop("file")
    return Row(file=path.parent / file, **values)


def check_groups(rows: Iterable[Row]) -> None:
    """Refuse rows of which a group (a patient) has more than one use, whatever their sources.

    Raises:
        TrainingError: one has; says how many, and names none, since the name may be a patient's.
    """
    uses: dict[str, set[str]] = {}
    for row in rows:
        uses.setdefault(row.group, set()).add(row.use)
    split = sum(len(each) > 1 for each in uses.values())
    if split:
        raise TrainingError(
            f"{split} groups have rows of more than one use: give all of a group (patient) the same, in all that is "
            "given together, and patients of different places different names."
        )


def is_region(text: str) -> bool:
    """Whether a manifest may say this of what an image shows."""
    return text in LABELS or (text.startswith(OOD_PREFIX) and len(text) > len(OOD_PREFIX))


def is_held_out(row: Row, *, fraction: float, seed: int) -> bool:
    """Whether the row's group is kept from learning.

    Decided by the group's name and the seed alone: all of a group falls on one side, in every command, and stays
    there when other data joins.
    """
    digest = hashlib.sha256(f"{seed}:{row.group}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


def is_learned_from(row: Row, recipe: DataRecipe) -> bool:
    """Whether the row may change weights: its use is `train`, its group is not held out and its source not left out."""
    return (
        row.use == "train"
        and not row.source.startswith(recipe.leave_out)
        and not is_held_out(row, fraction=recipe.held_out, seed=recipe.split_seed)
    )


def is_calibrated_on(row: Row, recipe: DataRecipe) -> bool:
    """Whether the row may set the temperature and thresholds: it was made for that, or its group was held out."""
    return row.use in ("tune", "calibrate") or (
        row.use == "train"
        and not row.source.startswith(recipe.leave_out)
        and is_held_out(row, fraction=recipe.held_out, seed=recipe.split_seed)
    )


def sampling_weights(rows: Sequence[Row], *, source_power: float, ood_share: float) -> list[float]:
    """The chance of each row to be drawn; sums to 1.

    Regions are equal, out-of-domain rows together get `ood_share`, and inside a region a source with n rows gets a
    share in proportion to n ** source_power, so that 500 images of one study do not drown the others. Unlabelled rows
    together get what they are of all rows, and the labelled ones share the rest.
    """
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        counts[_cell(row)] = counts.get(_cell(row), 0) + 1
    strength = {cell: n**source_power for cell, n in counts.items()}
    regions = {region for region, _ in counts}
    unlabelled = sum(n for (region, _), n in counts.items() if not region) / max(1, len(rows))
    share = _region_shares(regions, ood_share, unlabelled)
    total = {region: sum(s for (r, _), s in strength.items() if r == region) for region in regions}
    return [
        share[row_cell[0]] * strength[row_cell] / total[row_cell[0]] / counts[row_cell] for row_cell in map(_cell, rows)
    ]


def _cell(row: Row) -> tuple[str, str]:
    return ("ood" if row.target == OOD else row.region, row.source)


def _region_shares(regions: Iterable[str], ood_share: float, unlabelled: float) -> dict[str, float]:
    names = sorted(regions)
    inside = [name for name in names if name not in ("", "ood")]
    ood = (ood_share if inside else 1.0) if "ood" in names else 0.0
    shares = {
        name: (ood if name == "ood" else (1.0 - ood) / len(inside)) * (1.0 - unlabelled) for name in names if name
    }
    return {**shares, **({"": unlabelled} if "" in names else {})}
