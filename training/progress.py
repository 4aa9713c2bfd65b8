"""What a person sees while a command runs: images, images per second, time left, the loss."""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

RECENT = 50
"""Losses that the mean is over."""

INTERVAL = len("(0.012-0.345)")
"""What a column needs so that an 80 column terminal does not cut its intervals."""


class Shown:
    """One running bar; `advance` moves it."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task
        self._losses: deque[float] = deque(maxlen=RECENT)

    @property
    def mean_loss(self) -> float | None:
        """Over the last `RECENT` steps that told their loss; on a GPU only those that are logged do. None without."""
        return sum(self._losses) / len(self._losses) if self._losses else None

    def advance(self, images: int, loss: float = math.nan) -> None:
        """Count `images` more; a loss that is no number is not shown."""
        if not math.isnan(loss):
            self._losses.append(loss)
        speed = self._bar.tasks[self._task].speed
        note = f"{speed:.0f} images/s" if speed else ""
        if self.mean_loss is not None:
            note += f", loss {self.mean_loss:.3f}"
        self._bar.update(self._task, advance=images, note=note)


@contextmanager
def progress(what: str, total: int) -> Iterator[Shown]:
    """Show a bar on stderr for `total` images."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield Shown(bar, bar.add_task(what, total=total, note=""))


def evaluation_table(cells: Sequence[Mapping[str, Any]]) -> Table:
    """The cells of `evaluate`, one line each; intervals in brackets."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("source", "region", "n", "groups", "top 1", "tagged", "right of tagged", "taken for"):
        # Folded, not cut: 80 columns are narrow for this.
        table.add_column(name, overflow="fold", min_width=INTERVAL if name in ("top 1", "right of tagged") else None)
    for cell in cells:
        others = ", ".join(f"{region} {n}" for region, n in list(cell.get("taken_for", {}).items())[:3])
        table.add_row(
            str(cell["source"])[:30],
            str(cell["region"]),
            str(cell["n"]),
            str(cell["groups"]),
            _share(cell, "top1"),
            f"{cell['tagged']:.3f}",
            _share(cell, "right_of_tagged"),
            others,
        )
    return table


def steadiness_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    """The lines of `steadiness`; intervals in brackets. The last two shares are of those that were named before."""
    table = Table("change", "n")
    table.add_column("other region", min_width=INTERVAL)
    table.add_column("named")
    table.add_column("other name", min_width=INTERVAL)
    table.add_column("abstained", min_width=INTERVAL)
    for line in lines:
        shares = (_share(line, name) for name in ("named_otherwise", "abstains"))
        table.add_row(line["change"], str(line["n"]), _share(line, "top1_changes"), str(line["named"]), *shares)
    return table


def _share(cell: Mapping[str, Any], name: str) -> str:
    if name not in cell:
        return "-"
    low, high = cell[name + "_interval"]
    return f"{cell[name]:.3f} ({low:.3f}-{high:.3f})"
