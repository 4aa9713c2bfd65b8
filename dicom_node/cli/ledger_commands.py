"""`status`, `show` and `migrate`: the ledger for people and scripts."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from dicom_node.cli.destination_names import configured_names
from dicom_node.cli.options import ConfigOption, JsonOption, is_new_file, opened_ledger, read_config
from dicom_node.cli.plain import in_one_line, plain_console
from dicom_node.clock import utc_now
from dicom_node.config.folders import refuse_for_another
from dicom_node.errors import NodeError
from dicom_node.instance import REPORT_ALONE, DeliveryState
from dicom_node.presentation import records_view, status_view, to_the_second

# Each figure of `status`, in its order, and what it counts.
FIGURES = {
    "received": "images",
    "classified": "images that have a verdict",
    "forwarded": "images that every destination of theirs has",
    "pending": "images without a verdict, and deliveries that are not made",
    "failed": "deliveries that failed for good, or were given up",
    "abstained": "images of which the model named no region",
    "review": "images whose header a person should look at",
    "unrouted": "images that have a verdict and no delivery",
    "conflicting": "images whose UID other contents bear too, so that retention keeps them; `show` names them",
    "lost": "images whose file is gone or cut off",
    "uncommitted": "deliveries that were sent, and are pending until their destination commits itself",
    "unreported": "requests for commitment whose answer the peer has not got",
}

IDENTITY = ("study_uid", "series_uid", "modality", "body_part", "calling_ae")


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Counts per state, queue ages, destinations and the next periodic jobs; `list` names the images behind a count."""
    settings = read_config(config)
    names = configured_names(settings)
    with opened_ledger(settings, create=False) as ledger:
        view = status_view(ledger.records, ledger.promises, now=utc_now(), configured=names)
    if as_json:
        typer.echo(json.dumps(view))
        return
    _print_status(view, configured=names)


def _print_status(view: dict[str, Any], *, configured: Sequence[str]) -> None:
    console = plain_console()
    counts = Table("", "count", "of", title="Images and deliveries", title_justify="left")
    for name, counted in FIGURES.items():
        counts.add_row(name, str(view[name]), counted)
    console.print(counts)
    if view["destinations"]:
        console.print(_destinations(view["destinations"]))
    for row in view["destinations"]:
        if row["name"] not in configured:
            typer.echo(_farewell(row["name"], row["pending"] + row["uncommitted"]))
    if view["promises"]:
        table = Table("commitment for", "objects", "asked at", "attempts", "last error")
        for row in view["promises"]:
            figures = (str(row["objects"] or ""), to_the_second(row["asked_at"]), str(row["attempts"]))
            table.add_row(in_one_line(row["calling_ae"]), *figures, in_one_line(row["last_error"] or ""))
        console.print(table)
    if view["jobs"]:
        table = Table("job", "last run", "next run")
        for job in view["jobs"]:
            table.add_row(job["name"], to_the_second(job["last_run"]), to_the_second(job["next_run"]))
        console.print(table)


def _farewell(name: str, waiting: int) -> str:
    """What to tell of a destination that is configured no more."""
    gone = f"{name} is not configured any more"
    return f"{gone}; `dicom-node give-up --destination {name}` lets fail what waits for it" if waiting else gone


def _destinations(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("destination", "pending", "uncommitted", "delivered", "failed", "waits for", "last error")
    for row in rows:
        waits = "" if row["oldest_due_seconds"] is None else f"{row['oldest_due_seconds']:.0f} s"
        figures = (str(row[key]) for key in ("pending", "uncommitted", "delivered", "failed"))
        table.add_row(row["name"], *figures, waits, in_one_line(row["last_error"] or ""))
    return table


def show(
    uid: Annotated[str, typer.Argument(help="A SOP Instance, Series Instance or Study Instance UID.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Everything the ledger knows of an instance or a study."""
    with opened_ledger(read_config(config), create=False) as ledger:
        views = records_view(ledger.records.find(uid))
    if not views:
        raise NodeError(
            f"the ledger knows nothing of {uid}; `dicom-node status` shows whether it has any images at all"
        )
    if as_json:
        typer.echo(json.dumps(views[0] if len(views) == 1 else views))
        return
    for view in views:
        _print_record(view)


def _print_record(view: dict[str, Any]) -> None:
    console = plain_console()
    table = Table(show_header=False, title=in_one_line(view["sop_instance_uid"]), title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(view):
        table.add_row(name, in_one_line(value))
    console.print(table)


def _facts(view: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is told of an instance, row by row."""
    for key in (*IDENTITY, "received_at", "state", "digest", "path"):
        yield key, str(view[key] if view[key] not in (None, "") else "-")
    if view["conflict"]:
        yield "conflict", "another object with this UID and other content was here before"
    verdict = view["verdict"]
    if verdict:
        yield "outcome", f"{verdict['outcome']}, {verdict['region'] or '-'} ({verdict['confidence']:.2f})"
        yield "decision", f"{verdict['decision']}: {verdict['reason']}"
        yield "decided", verdict["body_part"] or "as received"
    for label in view["labels"][-1:]:
        yield "label", f"{label['region']}, by {label['by']}, {to_the_second(label['at'])}"
    for delivery in view["deliveries"]:
        error = f", {delivery['last_error']}" if delivery["last_error"] else ""
        yield f"to {delivery['destination']}", f"{_gone(delivery)}, {delivery['attempts']} attempts{error}"
    for event in view["events"]:
        yield to_the_second(event["at"]), f"{event['kind']} {event['detail']}"


def _gone(delivery: dict[str, Any]) -> str:
    """How far a delivery has come, and what went: it may not be what was decided, as of a signed object."""
    state, written = delivery["state"], delivery["written"]
    if state not in (DeliveryState.SENT, DeliveryState.DELIVERED):
        return str(state)
    if not delivery["sent_uid"]:
        return f"{state}: there was nothing to send"
    if written == REPORT_ALONE:
        return f"{state} as a report alone"
    return f"{state} with {written}" if written else f"{state} as received"


def migrate_schema(config: ConfigOption = None) -> None:
    """Bring the ledger's schema up to this version; `serve` does it by itself."""
    from dicom_node.ledger import migrate

    settings = read_config(config)
    if is_new_file(settings):
        refuse_for_another(settings)
    before, after = migrate(settings.ledger_url)
    typer.echo(
        f"the ledger's schema is at {after}"
        if before == after
        else f"the ledger's schema went from {before or 'nothing'} to {after}"
    )
