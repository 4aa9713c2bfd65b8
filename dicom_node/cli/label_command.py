"""`label`: what a person says that images show, for the model to learn from."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.options import ConfigOption, opened_ledger, read_config
from dicom_node.cli.paths import named_path
from dicom_node.clock import utc_now
from dicom_node.errors import ConfigError, NodeError
from dicom_node.label import ALLOWED, Label, is_label

SHOWN = 5


def label(
    by: Annotated[str, typer.Option(help="Who says so.")],
    uid: Annotated[str | None, typer.Argument(help="A SOP Instance UID.", show_default=False)] = None,
    region: Annotated[
        str | None, typer.Argument(help="One of the 14 regions, or ood:KIND.", show_default=False)
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            parser=named_path,
            help="Many at once: the columns sop_instance_uid and region.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Keep what a person says that images show; the latest answer counts. Of a table everything is kept, or nothing."""
    settings = read_config(config)
    if not by.strip():
        raise ConfigError("say with --by whose answer it is")
    if (table is None) == (uid is None or region is None):
        raise ConfigError("name either a SOP Instance UID and what it shows, or a table with --csv")
    regions, lines = _read(table) if table is not None else ({str(uid): _checked(str(region))}, {})
    now = utc_now()
    labels = {uid: Label(region=region, by=by.strip(), at=now) for uid, region in regions.items()}
    with opened_ledger(settings, create=False) as ledger:
        unknown = ledger.labels.add(labels)
    if unknown:
        raise NodeError(_not_here(unknown, table, lines))
    typer.echo(f"{len(labels)} {'label' if len(labels) == 1 else 'labels'} kept")


def _read(table: Path) -> tuple[dict[str, str], dict[str, int]]:
    """UID -> region, and UID -> line. No error repeats what a cell holds: of a wrong column, that may be a name."""
    regions: dict[str, str] = {}
    lines: dict[str, int] = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            for row in rows:
                uid, region = ((row[name] or "").strip() for name in ("sop_instance_uid", "region"))
                place = f"{table}, line {rows.line_num}: "
                if not uid:
                    raise ConfigError(f"{place}the SOP Instance UID is missing; nothing was kept")
                if regions.setdefault(uid, _checked(region, place)) != region:
                    raise ConfigError(f"{place}the same object has another region further up; nothing was kept")
                lines.setdefault(uid, rows.line_num)
    except OSError as error:
        raise ConfigError(f"{table} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, KeyError, csv.Error) as error:
        raise ConfigError(f"{table} cannot be read as a CSV with the columns sop_instance_uid and region") from error
    if not regions:
        raise ConfigError(f"{table} is empty: it needs the columns sop_instance_uid and region, and a line per object")
    return regions, lines


def _checked(region: str, place: str = "") -> str:
    if not is_label(region):
        raise ConfigError(f"{place}this is no region, and nothing was kept; a region is {ALLOWED}")
    return region


def _not_here(unknown: Sequence[str], table: Path | None, lines: Mapping[str, int]) -> str:
    if table is None:
        return f"the ledger holds no object with the SOP Instance UID {unknown[0]}; nothing was kept"
    numbers = sorted(lines[uid] for uid in unknown)
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    which = ", ".join(str(number) for number in numbers[:SHOWN]) + more
    return f"{table}: the ledger holds no object with the SOP Instance UID of line {which}; nothing was kept"
