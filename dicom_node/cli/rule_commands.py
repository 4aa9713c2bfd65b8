"""`rules test` and `rules replay`: which rules match, and why, over files and over the past."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dicom_node.cli.options import ConfigOption, checked_ae_title, opened_eye, opened_ledger, read_config, spool_to_read
from dicom_node.cli.paths import file_to_read
from dicom_node.cli.plain import in_one_line, plain_console
from dicom_node.config.plan import plan_of
from dicom_node.errors import NodeError, NotUnderstoodError
from dicom_node.rules import Routing
from dicom_node.verdict import Sighting

if TYPE_CHECKING:
    from dicom_node.eye import Eye

app = typer.Typer(no_args_is_help=True, help="Routing rules.")


@app.command("test")
def try_files(
    files: Annotated[list[Path], typer.Argument(parser=file_to_read, help="DICOM files.")],
    calling_ae: Annotated[
        str | None,
        typer.Option(callback=checked_ae_title, help="The AE title that would have sent them.", show_default=False),
    ] = None,
    called_ae: Annotated[
        str | None,
        typer.Option(
            callback=checked_ae_title,
            help="The AE title under which the node would have been called; its own.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Say for each file which rules match and why, and where it would go; what is no DICOM file goes nowhere."""
    from dicom_node.classify import facts_about
    from dicom_node.rules import route

    settings = read_config(config)
    plan = plan_of(settings)
    called_ae = called_ae or settings.node.ae_title
    refused = 0
    with opened_eye(settings) as eye:
        for path in files:
            why_not = _why_not(path)
            if why_not:
                typer.echo(f"{path}: {why_not}", err=True)
                refused += 1
                continue
            sighting = _seen(eye, path)
            facts = facts_about(
                sighting, agreement=sighting.agreement, calling_ae=calling_ae or "", called_ae=called_ae
            )
            _print_routing(path, route(plan.rules, [stop.name for stop in plan.stops], facts))
    if refused:
        raise NodeError(f"{refused} of {len(files)} files would not be taken, and go nowhere")


def _seen(eye: "Eye", path: Path) -> Sighting:
    """What the node would see of the object in a file: one that it cannot open is known by its head."""
    from dicom_node.looking import unseen
    from dicom_node.part10 import incoming_from_file, read_identity

    sighting = eye.look(path)
    if sighting.values:
        return sighting
    try:
        incoming = incoming_from_file(path, calling_ae="", called_ae="", peer="")
        return unseen(read_identity(incoming), sighting.reason)
    except NotUnderstoodError:
        return sighting


def _why_not(path: Path) -> str:
    """Why the node would not take a file at all; empty where it would."""
    from dicom_node.part10 import is_dicom

    try:
        return "" if is_dicom(path) else "this is no DICOM file"
    except NotUnderstoodError as error:
        return str(error)


@app.command("replay")
def replay(config: ConfigOption = None) -> None:
    """Try today's rules on every image of the past, and say what would have gone elsewhere. Nothing is sent."""
    from dicom_node.past import route_again, settled_records

    settings = read_config(config)
    plan = plan_of(settings)
    matched: Counter[str] = Counter()
    moved = Table("sop instance uid", "went to", "would go to", title="Would go elsewhere", title_justify="left")
    images = 0
    with opened_ledger(settings, create=False) as ledger:
        spool = spool_to_read(settings, ledger)
        for record in settled_records(ledger.records):
            images += 1
            routing = route_again(record, plan, spool)
            matched.update(explanation.rule for explanation in routing.explanations if explanation.matched)
            went = sorted(delivery.destination for delivery in record.deliveries)
            if went != sorted(routing.destinations):
                moved.add_row(in_one_line(record.instance.sop_instance_uid), _names(went), _names(routing.destinations))
    counts = Table("rule", "images", title=f"{images} images", title_justify="left")
    for rule in plan.rules:
        counts.add_row(rule.name, str(matched[rule.name]))
    plain_console().print(counts)
    plain_console().print(moved if moved.row_count else "every image would go where it went")


def _print_routing(path: Path, routing: Routing) -> None:
    if routing.explanations:
        table = Table("rule", "matches", "because", title=str(path), title_justify="left")
        for explanation in routing.explanations:
            because = "\n".join(map(in_one_line, explanation.because))
            table.add_row(explanation.rule, "yes" if explanation.matched else "no", because)
        plain_console().print(table)
    typer.echo(f"{path} goes to: {_names(routing.destinations)}")


def _names(destinations: tuple[str, ...] | list[str]) -> str:
    return ", ".join(destinations) or "no destination"
