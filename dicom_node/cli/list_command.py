"""`list`: which images it is that `status` counts."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from dicom_node.cli.destination_names import require_known
from dicom_node.cli.options import ConfigOption, JsonOption, opened_ledger, read_config
from dicom_node.cli.plain import in_one_line, plain_console
from dicom_node.errors import ConfigError
from dicom_node.presentation import standing_view, to_the_second
from dicom_node.standing import DELIVERIES, Standing

COLUMNS = ("received at", "sop instance uid", "study uid", "modality", "body part", "seen", "why")


def list_images(
    state: Annotated[Standing, typer.Option(help="Where the images stand; the words are those of `status`.")],
    destination: Annotated[
        str | None, typer.Option(help="Only deliveries to it: for failed, pending and uncommitted.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1 << 31, help="How many to name at most.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the images that `status` counts, those first that came last."""
    settings = read_config(config)
    if destination is not None and state not in DELIVERIES:
        raise ConfigError(f"--destination goes with {', '.join(DELIVERIES)}; no image is {state} because of one")
    with opened_ledger(settings, create=False) as ledger:
        if destination is not None:
            require_known(destination, settings, [row.destination for row in ledger.records.destinations()])
        found = ledger.standings.images(state, destination=destination, limit=limit)
    views = [standing_view(image) for image in found.images]
    if as_json:
        typer.echo(json.dumps(views))
    else:
        _print_images(views, nothing=f"no image is {state}" + (f" at {destination}" if destination else ""))
    if found.total > len(views):
        typer.echo(f"… and {found.total - len(views)} more", err=as_json)


def _print_images(views: Sequence[Mapping[str, Any]], *, nothing: str) -> None:
    if not views:
        typer.echo(nothing)
        return
    # As wide as it gets: a UID that is cut or folded can neither be copied nor searched for.
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for view in views:
        given = (view[key] for key in ("sop_instance_uid", "study_uid", "modality", "body_part"))
        cells = (to_the_second(view["received_at"]), *given, _seen(view), _why(view))
        table.add_row(*(in_one_line(cell) or "-" for cell in cells))
    plain_console(width=1 << 16).print(table)


def _seen(view: Mapping[str, Any]) -> str:
    if view["outcome"] is None:
        return "no verdict yet"
    return " ".join([view["outcome"], *([view["region"]] if view["region"] else []), f"{view['confidence']:.2f}"])


def _why(view: Mapping[str, Any]) -> str:
    """The deliveries that put it on the list, else the reason of its verdict."""
    ways = "; ".join(_way(delivery) for delivery in view["deliveries"])
    return ways or view["reason"] or "it waits for its verdict"


def _way(delivery: Mapping[str, Any]) -> str:
    if delivery["last_error"]:
        told = delivery["last_error"]
    elif delivery["due_at"] is None:
        told = "waits for its study to close"
    else:
        asked = "its commitment is asked for" if delivery["state"] == "sent" else "due"
        told = f"{asked} at {to_the_second(delivery['due_at'])}"
    return f"{delivery['destination']}: {told}"
