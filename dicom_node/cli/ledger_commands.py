"""`status`, `show` and `migrate`: the ledger for people and scripts."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicom_node.cli.options import ConfigOption, JsonOption, opened_ledger, read_config
from dicom_node.clock import utc_now
from dicom_node.errors import NodeError
from dicom_node.presentation import records_view, status_view


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Counts per state, queue ages, destinations and the next periodic jobs."""
    with opened_ledger(read_config(config), create=False) as ledger:
        view = status_view(ledger.records, ledger.promises, now=utc_now())
    if as_json:
        typer.echo(json.dumps(view))
        return
    _print_status(view)


def _print_status(view: dict[str, Any]) -> None:
    console = Console()
    names = (
        *("received", "classified", "forwarded", "pending", "failed", "abstained", "review", "unrouted", "lost"),
        *("uncommitted", "unreported"),
    )
    counts = Table("", "count", title="Images", title_justify="left")
    for name in names:
        counts.add_row(name, str(view[name]))
    console.print(counts)
    if view["destinations"]:
        table = Table("destination", "pending", "uncommitted", "delivered", "failed", "waits for", "last error")
        for row in view["destinations"]:
            waits = "" if row["oldest_due_seconds"] is None else f"{row['oldest_due_seconds']:.0f} s"
            table.add_row(
                row["name"],
                str(row["pending"]),
                str(row["uncommitted"]),
                str(row["delivered"]),
                str(row["failed"]),
                waits,
                row["last_error"] or "",
            )
        console.print(table)
    if view["promises"]:
        table = Table("commitment for", "objects", "asked at", "attempts", "last error")
        for row in view["promises"]:
            asked_at = _seconds(row["asked_at"])
            table.add_row(
                row["calling_ae"], str(row["objects"]), asked_at, str(row["attempts"]), row["last_error"] or ""
            )
        console.print(table)
    if view["jobs"]:
        table = Table("job", "last run", "next run")
        for job in view["jobs"]:
            table.add_row(job["name"], _seconds(job["last_run"]), _seconds(job["next_run"]))
        console.print(table)


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
    console = Console()
    table = Table(show_header=False, title=view["sop_instance_uid"], title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key in ("study_uid", "series_uid", "modality", "body_part", "calling_ae", "received_at", "state", "path"):
        table.add_row(key, str(view[key] if view[key] not in (None, "") else "-"))
    if view["conflict"]:
        table.add_row("conflict", "another object with this UID and other content was here before")
    verdict = view["verdict"]
    if verdict:
        table.add_row("outcome", f"{verdict['outcome']}, {verdict['region'] or '-'} ({verdict['confidence']:.2f})")
        table.add_row("decision", f"{verdict['decision']}: {verdict['reason']}")
        table.add_row("written", verdict["body_part"] or "as received")
    for label in view["labels"][-1:]:
        table.add_row("label", escape(f"{label['region']}, by {label['by']}, {_seconds(label['at'])}"))
    for delivery in view["deliveries"]:
        error = f", {delivery['last_error']}" if delivery["last_error"] else ""
        table.add_row(f"to {delivery['destination']}", f"{delivery['state']}, {delivery['attempts']} attempts{error}")
    for event in view["events"]:
        table.add_row(_seconds(event["at"]), f"{event['kind']} {event['detail']}".strip())
    console.print(table)


def _seconds(time: str | None) -> str:
    """An ISO time for people: UTC, to the second."""
    return time[:19].replace("T", " ") + "Z" if time else ""


def migrate_schema(config: ConfigOption = None) -> None:
    """Bring the ledger's schema up to this version; `serve` does it by itself."""
    from dicom_node.ledger import migrate

    before, after = migrate(read_config(config).ledger_url)
    typer.echo(
        f"the ledger's schema is at {after}"
        if before == after
        else f"the ledger's schema went from {before or 'nothing'} to {after}"
    )
