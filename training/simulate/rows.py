"""The manifest's lines of simulated images, written whole or not at all."""

import csv
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a manifest, in its columns' order; see `training.manifest`."""

    file: str
    region: str
    group: str
    view: str
    use: str = "train"
    source: str
    licence: str
    origin: str = ""


def write_lines(path: Path, lines: Sequence[Line], header: Sequence[str] = ()) -> None:
    """Write the lines; a killed process leaves either all of the file or none."""
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        if header:
            writer.writerow(header)
        writer.writerows(astuple(line) for line in lines)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)


def read_lines(path: Path) -> list[Line]:
    """Read lines written without a header."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            Line(
                file=file, region=region, group=group, view=view, use=use, source=source, licence=licence, origin=origin
            )
            for file, region, group, view, use, source, licence, origin in csv.reader(stream)
        ]
