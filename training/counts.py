"""What a prepared data set holds, in numbers and to look at."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dicom_node.imaging import IMAGING_VERSION
from dicom_node.model.card import LABELS
from training.images import ImageSet
from training.manifest import USES, Row
from training.pages import inlined, sheet, write_page

SHOWN, COLUMNS = 24, 12


def region_counts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line per region, in contract order, then out of domain, then unlabelled; cells: the uses, then all."""
    regions = sorted({row.region for row in rows}, key=_order)
    return [{"region": region, "cells": _cells([row for row in rows if row.region == region])} for region in regions]


def write_counts(data: ImageSet, left_out: Sequence[tuple[str, str]], path: Path, *, seed: int = 0) -> None:
    """Write the page with the counts, the reasons for what is missing, and a contact sheet per region."""
    random = np.random.default_rng(seed)
    sheets = []
    for region in sorted({row.region for row in data.rows}, key=_order):
        of_region = np.array([row.region == region for row in data.rows]).nonzero()[0]
        chosen = random.permutation(of_region)[:SHOWN]
        picture = inlined(sheet(data.images[chosen], min(COLUMNS, len(chosen))))
        sheets.append({"region": region, "shown": len(chosen), "sheet": picture})
    write_page(
        path,
        "prepare.html",
        title="Prepared data",
        n=len(data.rows),
        groups=len({row.group for row in data.rows}),
        size=data.size,
        imaging_version=IMAGING_VERSION,
        uses=USES,
        counts=region_counts(data.rows),
        left_out=[{"why": why, "n": n} for why, n in Counter(_kind(why) for _, why in left_out).most_common()],
        sheets=sheets,
    )


def _cells(rows: Sequence[Row]) -> list[dict[str, int]]:
    parts = [*([row for row in rows if row.use == use] for use in USES), list(rows)]
    return [{"n": len(part), "groups": len({row.group for row in part})} for part in parts]


def _kind(why: str) -> str:
    return "the same pixels as an earlier one" if why.startswith("the same pixels as") else why


def _order(region: str) -> tuple[int, str]:
    """Contract order, then what is out of domain, then what nobody labelled."""
    if region in LABELS:
        return LABELS.index(region), region
    return len(LABELS) + (not region), region
