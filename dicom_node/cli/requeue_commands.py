"""`requeue` and `give-up`: deliveries back into the queue, and out of it."""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.destination_names import configured_names, require_configured, require_known
from dicom_node.cli.options import ConfigOption, opened_ledger, read_config, spool_to_read
from dicom_node.clock import utc_now
from dicom_node.config import Config
from dicom_node.config.plan import plan_of
from dicom_node.errors import ConfigError, NodeError
from dicom_node.instance import DeliveryState
from dicom_node.ports import Ledger, Records
from dicom_node.record import InstanceRecord

if TYPE_CHECKING:
    from dicom_node.past import Replanning


class Requeueable(StrEnum):
    """What can be put into the queue: failed deliveries, delivered ones to send again, sent ones to which their
    destination has not committed itself, waiting ones to send at once, and images that no destination wanted when they
    came.
    """

    FAILED = "failed"
    DELIVERED = "delivered"
    SENT = "sent"
    PENDING = "pending"
    UNROUTED = "unrouted"


def requeue(
    uids: Annotated[list[str] | None, typer.Argument(help="SOP, series or study UIDs; all when none is given.")] = None,
    state: Annotated[Requeueable, typer.Option(help="Which deliveries to put back.")] = Requeueable.FAILED,
    destination: Annotated[
        str | None, typer.Option(help="Only deliveries to this destination.", show_default=False)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Put deliveries back into the queue, due now. `--state pending` with UIDs also sends what waits for its study to
    close. `--state unrouted` routes images that have none by today's rules; with `--destination`, those that have none
    to that one, as when it was added later.
    """
    settings = read_config(config)
    if destination is not None:
        require_configured(destination, settings)
    if state is Requeueable.DELIVERED and not uids:
        raise ConfigError("name the UIDs of what to send again: without, it would be everything that ever arrived")
    with opened_ledger(settings, create=False) as ledger:
        if state is Requeueable.UNROUTED:
            planning = _plan_past(settings, ledger, uids or [], destination)
            count = planning.added
            why = "" if count else _why_nothing_planned(planning, settings, destination)
        else:
            count, why = _put_back(settings, ledger, DeliveryState(state), uids or [], destination)
        unknown = [uid for uid in uids or [] if not any(_bears(record, uid) for record in ledger.records.find(uid))]
    typer.echo(f"{_deliveries(count)} put back" + (f"{'; ' if count else ': '}{why}" if why else ""))
    if unknown:
        raise NodeError(f"no image, series or study here has the UID {', '.join(unknown)}")


def give_up(
    destination: Annotated[str, typer.Option(help="The destination that will not be reached again.")],
    still_configured: Annotated[
        bool, typer.Option("--still-configured", help="Also for a destination that the configuration has.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make all that waits for a destination fail, so that it waits no more; once the destination is configured again,
    `requeue --destination` brings it back. Until then the files stay: retention removes none that a destination lacks.
    """
    settings = read_config(config)
    configured = destination in configured_names(settings)
    if configured and not still_configured:
        raise ConfigError(
            f"{destination} is configured, and what waits for it is tried again by itself; take it out of the "
            "configuration first and restart the node, or say --still-configured"
        )
    with opened_ledger(settings, create=False) as ledger:
        require_known(destination, settings, [row.destination for row in ledger.records.destinations()])
        error = f"given up by hand: `dicom-node requeue --destination {destination}` sends it after all"
        count = ledger.outbox.give_up(destination, error=error, now=utc_now())
    typer.echo(f"{_deliveries(count)} to {destination} given up" + ("" if count else ": none was waiting"))


def _put_back(
    settings: Config, ledger: Ledger, state: DeliveryState, uids: Sequence[str], destination: str | None
) -> tuple[int, str]:
    """How many deliveries went back, and what there is to say of those that did not."""
    names = configured_names(settings) if destination is None else [destination]
    standing = _standing(ledger.records, state, uids)
    count = ledger.outbox.requeue(state=state, uids=uids, destinations=names, now=utc_now())
    told = []
    left = sum(standing[name] for name in names) - count
    if left > 0 and state is DeliveryState.PENDING:
        told.append(f"{left} left to wait for their study to close: name their UIDs to send them now")
    elif left > 0:
        told.append(f"{left} left alone: the file of the image is not here any more, or it was let go")
    told += [
        f"{number} left alone for {name}, which is not configured: once it is, `requeue` takes what is for it"
        for name, number in sorted(standing.items())
        if destination is None and name not in names and number
    ]
    if not count and not told:
        told = [_why_nothing_requeued(ledger.records, state, uids, destination)]
    return count, "; ".join(told)


def _standing(records: Records, state: DeliveryState, uids: Sequence[str]) -> Counter[str]:
    """How many deliveries each destination has in a state: of all images, or of those with these UIDs."""
    if not uids:
        figure = {DeliveryState.SENT: "uncommitted"}.get(state, state.value)
        return Counter({row.destination: getattr(row, figure) for row in records.destinations()})
    found = {record.instance.id: record for uid in uids for record in records.find(uid) if _bears(record, uid)}
    ways = (way for record in found.values() for way in record.deliveries)
    return Counter(way.destination for way in ways if way.state is state)


def _bears(record: InstanceRecord, uid: str) -> bool:
    """Whether a UID is the image's own, and not that of a copy that was sent of it."""
    instance = record.instance
    return uid in (instance.sop_instance_uid, instance.series_uid, instance.study_uid)


def _plan_past(settings: Config, ledger: Ledger, uids: Sequence[str], destination: str | None) -> "Replanning":
    from dicom_node.past import plan_unrouted

    return plan_unrouted(
        records=ledger.records,
        outbox=ledger.outbox,
        spool=spool_to_read(settings, ledger),
        plan=plan_of(settings),
        uids=uids,
        destination=destination,
        now=utc_now(),
    )


def _why_nothing_planned(planning: "Replanning", settings: Config, destination: str | None) -> str:
    if not settings.destinations:
        return "no destination is configured"
    kinds = [
        (planning.served, f"with a delivery to {destination}" if destination else "with a delivery"),
        (planning.gone, "whose file is not here any more"),
        (planning.unwanted, f"that today's rules do not send to {destination or 'any destination'}"),
    ]
    told = ", ".join(f"{count} {kind}" for count, kind in kinds if count)
    return f"the images that have a verdict are {told}" if told else "no such image has a verdict yet"


def _why_nothing_requeued(records: Records, state: DeliveryState, uids: Sequence[str], destination: str | None) -> str:
    to = f" to {destination}" if destination else ""
    if uids and not any(records.find(uid) for uid in uids):
        return "the ledger knows nothing of these UIDs"
    if uids:
        return f"these images have no delivery{to} that is {state}; `dicom-node show UID` says what they have"
    rows = [row for row in records.destinations() if destination in (None, row.destination)]
    if not rows:
        return f"there never was a delivery{to}; `--state unrouted` makes those that today's rules want"
    return f"no delivery{to} is {state}"


def _deliveries(count: int) -> str:
    return f"{count} {'delivery' if count == 1 else 'deliveries'}"
