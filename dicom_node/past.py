"""Images of the past before today's rules: for `rules replay`, and to deliver what no destination wanted then."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dicom_node.classify import Plan, planned
from dicom_node.errors import OutOfResourcesError, is_of_the_machine
from dicom_node.header import header_values
from dicom_node.instance import Instance
from dicom_node.looking import kept_values
from dicom_node.object_file import open_object
from dicom_node.ports import Outbox, Records
from dicom_node.record import InstanceRecord
from dicom_node.rules import Facts, Routing, route
from dicom_node.soundness import is_as_long
from dicom_node.spool import Spool
from dicom_node.verdict import Outcome

PAGE = 500


def route_again(record: InstanceRecord, plan: Plan, spool: Spool) -> Routing:
    """Where today's rules would send an image of the past. Raises OutOfResourcesError while its file cannot be read."""
    return route(plan.rules, [stop.name for stop in plan.stops], _facts(record, spool))


@dataclass(frozen=True, kw_only=True)
class Replanning:
    """What planning for the past came to. `added`: deliveries. Of the images that got none, `served` have one already,
    the files of `gone` are not here any more, or not whole, and `unwanted` go nowhere by today's configuration.
    """

    added: int = 0
    served: int = 0
    gone: int = 0
    unwanted: int = 0


def plan_unrouted(
    *,
    records: Records,
    outbox: Outbox,
    spool: Spool,
    plan: Plan,
    uids: Sequence[str],
    now: datetime,
    destination: str | None = None,
) -> Replanning:
    """Give settled images that have no delivery the ones that today's configuration wants. `uids`: of SOP instances,
    series or studies; empty for all. With `destination` it gives those to that one, and to images that have none there.

    Images arrive before a destination is configured, or match no rule of their day: they are kept, and wait for this.
    Raises OutOfResourcesError while the spool is away or cannot be read: without its header an image would match other
    rules, and go where it must not.
    """
    tally: Counter[str] = Counter()
    wanted = frozenset(uids)
    for record in settled_records(records):
        if record.verdict is None or (wanted and wanted.isdisjoint(_own_uids(record))):
            continue
        if _is_served(record, destination):
            tally["served"] += 1
        elif not _is_here(record.instance, spool):
            tally["gone"] += 1
        else:
            names = route_again(record, plan, spool).destinations
            chosen = [name for name in names if destination in (None, name)]
            deliveries = planned(chosen, record.verdict.decision, plan.stops, now)
            tally["added"] += outbox.plan(record.instance.id, deliveries, now=now)
            tally["unwanted"] += not chosen
    return Replanning(**tally)


def _is_served(record: InstanceRecord, destination: str | None) -> bool:
    return any(destination in (None, delivery.destination) for delivery in record.deliveries)


def settled_records(records: Records) -> Iterator[InstanceRecord]:
    """Every settled instance, in the order of arrival."""
    after = 0
    while page := records.settled(after_id=after, limit=PAGE):
        yield from page
        after = page[-1].instance.id


def _is_here(instance: Instance, spool: Spool) -> bool:
    spool.check_marked()
    try:
        return instance.spooled and is_as_long(spool.path(instance.path), instance.size)
    except OSError as error:
        raise _unreadable(error) from error


def _own_uids(record: InstanceRecord) -> set[str]:
    instance = record.instance
    return {instance.sop_instance_uid, instance.series_uid, instance.study_uid}


def _facts(record: InstanceRecord, spool: Spool) -> Facts:
    verdict = record.verdict
    return Facts(
        outcome=verdict.outcome if verdict else Outcome.UNREADABLE,
        region=verdict.region if verdict and verdict.outcome is Outcome.TAGGED else None,
        confidence=verdict.confidence if verdict else 0.0,
        agreement=verdict.agreement if verdict else None,
        calling_ae=record.instance.calling_ae,
        called_ae=record.instance.called_ae,
        header=_past_values(record, spool),
    )


def _past_values(record: InstanceRecord, spool: Spool) -> Mapping[str, tuple[str, ...]]:
    """The header as it was received; what the ledger itself kept of it where the file is gone, or cannot be parsed."""
    instance = record.instance
    if _is_here(instance, spool):
        try:
            return header_values(open_object(spool.path(instance.path)))
        except Exception as error:  # pydicom raises whatever it likes
            if is_of_the_machine(error):
                raise _unreadable(error) from error
    return kept_values(instance)


def _unreadable(error: Exception) -> OutOfResourcesError:
    return OutOfResourcesError(f"the spool cannot be read now ({type(error).__name__}): nothing more is routed")
