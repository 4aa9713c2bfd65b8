"""Images of the past before today's rules: for `rules replay`, and to deliver what no destination wanted then."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from dicom_node.classify import Plan, planned
from dicom_node.header import header_values
from dicom_node.object_file import open_object
from dicom_node.ports import Outbox, Records
from dicom_node.record import InstanceRecord
from dicom_node.rules import Facts, Routing, route
from dicom_node.spool import Spool
from dicom_node.verdict import Outcome

PAGE = 500


def route_again(record: InstanceRecord, plan: Plan, spool: Spool) -> Routing:
    """Where today's rules would send an image of the past."""
    return route(plan.rules, [stop.name for stop in plan.stops], _facts(record, spool))


def plan_unrouted(
    *, records: Records, outbox: Outbox, spool: Spool, plan: Plan, uids: Sequence[str], now: datetime
) -> int:
    """Give settled images that have no delivery the ones that today's configuration wants; returns how many it gave.
    `uids`: of SOP instances, series or studies; empty for all.

    Images arrive before a destination is configured, or match no rule of their day: they are kept, and wait for this.
    """
    count = 0
    for record in settled_records(records):
        if record.deliveries or record.verdict is None or not record.instance.spooled:
            continue
        if uids and not _own_uids(record) & set(uids):
            continue
        names = route_again(record, plan, spool).destinations
        count += outbox.plan(record.instance.id, planned(names, record.verdict.decision, plan.stops, now), now=now)
    return count


def settled_records(records: Records) -> Iterator[InstanceRecord]:
    """Every settled instance, in the order of arrival."""
    after = 0
    while page := records.settled(after_id=after, limit=PAGE):
        yield from page
        after = page[-1].instance.id


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
    """The header as it was received; what the ledger itself kept of it where the file is gone or damaged."""
    try:
        return header_values(open_object(spool.path(record.instance.path)))
    except Exception:  # noqa: BLE001 - gone or damaged: the ledger's own columns are what is left
        return {"Modality": (record.instance.modality,), "BodyPartExamined": (record.instance.body_part,)}
