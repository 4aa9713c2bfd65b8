"""Tables that people save, as CSV: from any program, also a spreadsheet's with its byte order mark and semicolons."""

import csv
from pathlib import Path


def read_table(path: Path) -> list[dict[str, str | None]]:
    """The lines of a CSV file in UTF-8 under the names in its first line. Semicolons separate where the first line has
    no comma, as spreadsheets write it where the comma is the decimal sign.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        names = stream.readline()
        stream.seek(0)
        return list(csv.DictReader(stream, delimiter=";" if ";" in names and "," not in names else ","))
