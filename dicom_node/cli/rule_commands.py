"""`rules test` and `rules replay`: which rules match, and why, over files and over the past."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pydicom
import typer
from rich.console import Console
from rich.table import Table

from dicom_node.cli.options import ConfigOption, opened_eye, opened_ledger, read_config
from dicom_node.config import Config
from dicom_node.header import header_values
from dicom_node.ports import InstanceRecord, Records
from dicom_node.rules import Facts, Routing, route
from dicom_node.spool import Spool
from dicom_node.verdict import Outcome, agreement_of

if TYPE_CHECKING:
    from dicom_node.eye import Eye

app = typer.Typer(no_args_is_help=True, help="Routing rules.")

PAGE = 500


@app.command("test")
def try_files(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="DICOM files.")],
    calling_ae: Annotated[str, typer.Option(help="The AE title that would have sent them.")] = "",
    config: ConfigOption = None,
) -> None:
    """Say for each file which rules match and why, and where it would go."""
    settings = read_config(config)
    with opened_eye(settings) as eye:
        for path in files:
            _print_routing(str(path), _route(settings, _facts_of_file(eye, path, calling_ae, settings)), settings)


@app.command("replay")
def replay(config: ConfigOption = None) -> None:
    """Try today's rules on every image of the past, and say what would have gone elsewhere. Nothing is sent."""
    settings = read_config(config)
    spool = Spool(settings.spool_dir, settings.node.disk_reserve)
    matched: Counter[str] = Counter()
    moved = Table("sop instance uid", "went to", "would go to", title="Would go elsewhere", title_justify="left")
    images = 0
    with opened_ledger(settings) as ledger:
        for record in _settled(ledger.records):
            images += 1
            routing = _route(settings, _facts_of_record(record, _past_values(record, spool)))
            matched.update(explanation.rule for explanation in routing.explanations if explanation.matched)
            went = sorted(delivery.destination for delivery in record.deliveries)
            if went != sorted(routing.destinations):
                moved.add_row(
                    record.instance.sop_instance_uid, ", ".join(went) or "-", ", ".join(routing.destinations) or "-"
                )
    counts = Table("rule", "images", title=f"{images} images", title_justify="left")
    for rule in settings.rules:
        counts.add_row(rule.name, str(matched[rule.name]))
    Console().print(counts)
    Console().print(moved if moved.row_count else "every image would go where it went")


def _route(settings: Config, facts: Facts) -> Routing:
    rules = [section.rule() for section in settings.rules]
    return route(rules, [destination.name for destination in settings.destinations], facts)


def _facts_of_file(eye: "Eye", path: Path, calling_ae: str, settings: Config) -> Facts:
    sighting = eye.look(path)
    return Facts(
        outcome=sighting.outcome,
        region=sighting.region,
        confidence=sighting.confidence,
        agreement=agreement_of(sighting.region, sighting.header) if sighting.region else None,
        calling_ae=calling_ae,
        called_ae=settings.node.ae_title,
        header=sighting.values,
    )


def _facts_of_record(record: InstanceRecord, values: Mapping[str, tuple[str, ...]]) -> Facts:
    verdict = record.verdict
    outcome = verdict.outcome if verdict else Outcome.UNREADABLE
    return Facts(
        outcome=outcome,
        region=verdict.region if verdict and outcome is Outcome.TAGGED else None,
        confidence=verdict.confidence if verdict else 0.0,
        agreement=verdict.agreement if verdict else None,
        calling_ae=record.instance.calling_ae,
        called_ae=record.instance.called_ae,
        header=values,
    )


def _past_values(record: InstanceRecord, spool: Spool) -> Mapping[str, tuple[str, ...]]:
    """The header as it was received; what the ledger itself kept of it where retention has removed the file."""
    try:
        return header_values(pydicom.dcmread(spool.path(record.instance.path), stop_before_pixels=True, force=True))
    except Exception:  # noqa: BLE001 - gone or damaged: the ledger's own columns are what is left
        return {"Modality": (record.instance.modality,), "BodyPartExamined": (record.instance.body_part,)}


def _settled(records: Records) -> Iterator[InstanceRecord]:
    after = 0
    while page := records.settled(after_id=after, limit=PAGE):
        yield from page
        after = page[-1].instance.id


def _print_routing(label: str, routing: Routing, settings: Config) -> None:
    table = Table("rule", "matches", "because", title=label, title_justify="left")
    for explanation in routing.explanations:
        table.add_row(explanation.rule, "yes" if explanation.matched else "no", "\n".join(explanation.because))
    Console().print(table if settings.rules else f"{label}: no rules are configured, so every destination gets it")
    typer.echo(f"goes to: {', '.join(routing.destinations) or 'no destination'}")
