"""Tables that people save, as CSV: from any program, also a spreadsheet's with its byte order mark and semicolons."""

import csv
from pathlib import Path

from training.errors import TrainingError


def read_table(path: Path) -> list[dict[str, str | None]]:
    """The lines of a CSV file in UTF-8 under the names in its first line. Semicolons separate where the first line has
    no comma, as spreadsheets write it where the comma is the decimal sign.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not UTF-8.
        TrainingError: the csv module refuses it: a quote that is not closed makes one cell of all that follows.
    """
    return [line for _, line in numbered_table(path)]


def numbered_table(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    """The same, each with the number of the line where it ends in the file, as an editor counts them: from 1, with the
    names' line and the empty ones.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        names = stream.readline()
        stream.seek(0)
        reader = csv.DictReader(stream, delimiter=";" if ";" in names and "," not in names else ",")
        try:
            return [(reader.line_num, line) for line in reader]
        except csv.Error as error:
            raise TrainingError(f"{path}, line {reader.reader.line_num}: it cannot be read: {error}.") from error
