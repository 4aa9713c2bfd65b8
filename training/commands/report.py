"""`python -m training report`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from dicom_node.model.card import LABELS
from training.commands.options import OutOption, path_option
from training.pages import write_page
from training.report import accuracy_rows, of_kind, papers, read_result, region_rows


def report(
    out: OutOption,
    source: Annotated[list[Path], path_option("--from", help="Run folders, one or more.")],
) -> None:
    """One self-contained page with the papers' tables beside what the runs measured."""
    results = [read_result(folder) for folder in source]
    write_page(
        out / "index.html",
        "report.html",
        title="Results beside the papers",
        papers=papers(),
        labels=LABELS,
        results=results,
        accuracy=accuracy_rows(results),
        regions=region_rows(results),
        curves=of_kind(results, "curve"),
        planted=of_kind(results, "planted"),
        audits=of_kind(results, "candidates", "per_class"),
        clusters=of_kind(results, "clusters"),
        attention=of_kind(results, "attention"),
    )
    Console().print(f"{out / 'index.html'}")
