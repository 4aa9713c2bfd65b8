"""A re-reading of images: which of them somebody read again, and what they show."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.errors import TrainingError
from training.manifest import Row, is_region
from training.table_files import read_table


def read_corrections(path: Path, rows: Sequence[Row]) -> dict[int, str]:
    """The numbers of the rows that were read again -> region, `ood:<kind>`, or empty for an unusable image.

    A file is named relative to the table, or by the end of its path that no other row has; the bare name is one.

    Raises:
        TrainingError: the table cannot be read, names what is no region, or a file that several rows could be.
    """
    try:
        lines = [(str(line["file"]).strip(), (line["region"] or "").strip()) for line in read_table(path)]
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"The corrected labels {path} cannot be read: {error}.") from error
    except KeyError as error:
        raise TrainingError(f"{path} is no CSV with the columns file and region.") from error
    unknown = sorted({region for _, region in lines if region and not is_region(region)})
    if unknown:
        raise TrainingError(f"{path} names '{unknown[0]}', which is neither one of the 14 regions nor 'ood:<kind>'.")
    by_name: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        by_name.setdefault(row.file.name, []).append(number)
    return {number: region for file, region in lines for number in _meant(file, path, rows, by_name)}


def _meant(file: str, table: Path, rows: Sequence[Row], by_name: Mapping[str, Sequence[int]]) -> Sequence[int]:
    """The row of a file, or none."""
    whole = (table.parent / file).resolve()
    alike = by_name.get(whole.name, ())
    exact = [number for number in alike if rows[number].file.resolve() == whole]
    if exact:
        return exact
    ending = Path(file).parts
    found = [number for number in alike if rows[number].file.parts[-len(ending) :] == ending]
    if len(found) > 1:
        raise TrainingError(f"{table} names '{file}', which {len(found)} images could be: give more of its path.")
    return found
