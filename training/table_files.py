"""Tables as CSV: read from any program, also a spreadsheet's with its byte order mark and semicolons, and written.

A file's name may be none in UTF-8, as those of old archives: its bytes stand in the table as they are on the disk.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from training.errors import TrainingError

FILE = "file"
"""The column that names files."""


def read_table(path: Path) -> list[dict[str, str | None]]:
    """The lines of a CSV file in UTF-8 under the names in its first line. Semicolons separate where the first line has
    no comma, as spreadsheets write it where the comma is the decimal sign.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not UTF-8, apart from names of files that are there.
        TrainingError: the csv module refuses it: a quote that is not closed makes one cell of all that follows.
    """
    return [line for _, line in numbered_table(path)]


def numbered_table(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    """The same, each with the number of the line where it ends in the file, as an editor counts them: from 1, with the
    names' line and the empty ones.
    """
    content = path.read_bytes()
    try:
        return _lines(content.decode("utf-8-sig"), path)
    except UnicodeDecodeError:
        lines = _lines(content.decode("utf-8-sig", "surrogateescape"), path)
        cells = [pair for _, line in lines for pair in line.items()]
        if not all(_is_text(name) and (_is_text(cell) or _is_there(name, cell, path)) for name, cell in cells):
            raise
        return lines


def write_table(path: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Write a table as `read_table` reads it."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(lines)


def _lines(text: str, path: Path) -> list[tuple[int, dict[str, str | None]]]:
    stream = io.StringIO(text, newline="")
    names = stream.readline()
    stream.seek(0)
    reader = csv.DictReader(stream, delimiter=";" if ";" in names and "," not in names else ",")
    try:
        return [(reader.line_num, line) for line in reader]
    except csv.Error as error:
        raise TrainingError(f"{path}, line {reader.reader.line_num}: it cannot be read: {error}.") from error


def _is_text(cell: object) -> bool:
    return not any("\udc80" <= letter <= "\udcff" for letter in str(cell))


def _is_there(name: str | None, cell: object, path: Path) -> bool:
    """Whether it is the bytes of a name, and not letters in a spreadsheet's own encoding."""
    return name == FILE and (path.parent / str(cell)).exists()
