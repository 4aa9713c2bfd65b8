"""Ledger values as plain dictionaries: one shape for `--json`, the API and the tests that read them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from dicom_node.instance import Delivery, Event
from dicom_node.label import Label
from dicom_node.ports import Promises, Records
from dicom_node.record import DestinationCounts, InstanceRecord
from dicom_node.standing import StandingImage
from dicom_node.verdict import Outcome, Recognition, Verdict


def status_view(
    records: Records, promises: Promises, *, now: datetime, configured: Sequence[str] = ()
) -> dict[str, Any]:
    """The answer of `status --json`: the counts, ages in seconds, destinations, peers that have not got
    our report on what they asked us to keep, periodic jobs.

    `configured`: destinations that are named also where none of them ever had a delivery.
    """
    oldest = records.oldest_received()
    return {
        **asdict(records.counts()),
        "oldest_received_seconds": _age(oldest, now),
        "destinations": [_destination_view(row, now) for row in _with_new(records.destinations(), configured)],
        "promises": [
            {
                "calling_ae": promise.calling_ae,
                "transaction_uid": promise.transaction_uid,
                "state": promise.state,
                "objects": len(promise.references) or None,  # one that was given up has forgotten them
                "asked_at": _iso(promise.asked_at),
                "attempts": promise.attempts,
                "last_error": promise.last_error,
            }
            for promise in promises.unreported()
        ],
        "jobs": [
            {"name": job.name, "last_run": _iso(job.last_run), "next_run": _iso(job.next_run)} for job in records.jobs()
        ],
    }


def _with_new(known: Sequence[DestinationCounts], configured: Sequence[str]) -> list[DestinationCounts]:
    """The destinations that had a delivery and those that did not, by name."""
    new = set(configured) - {row.destination for row in known}
    empty = {"pending": 0, "delivered": 0, "failed": 0}
    rows = [DestinationCounts(destination=name, **empty, oldest_due=None, last_error=None) for name in new]
    return sorted([*known, *rows], key=lambda row: row.destination)


def _destination_view(row: DestinationCounts, now: datetime) -> dict[str, Any]:
    return {
        "name": row.destination,
        "pending": row.pending,
        "uncommitted": row.uncommitted,
        "delivered": row.delivered,
        "failed": row.failed,
        "oldest_due_seconds": _age(row.oldest_due, now),
        "last_error": row.last_error,
    }


def standing_view(image: StandingImage) -> dict[str, Any]:
    """One image of `list --json`. `deliveries`: those that put it on the list."""
    instance, verdict = image.instance, _verdict_view(image.verdict) or {}
    return {
        "sop_instance_uid": instance.sop_instance_uid,
        "study_uid": instance.study_uid,
        "received_at": _iso(instance.received_at),
        "modality": instance.modality,
        "body_part": instance.body_part,
        **{key: verdict.get(key) for key in ("outcome", "region", "confidence", "decision", "reason")},
        "deliveries": [_delivery_view(delivery) for delivery in image.deliveries],
    }


def record_view(record: InstanceRecord) -> dict[str, Any]:
    """Everything about one instance."""
    instance = record.instance
    return {
        "sop_instance_uid": instance.sop_instance_uid,
        "series_uid": instance.series_uid,
        "study_uid": instance.study_uid,
        "sop_class_uid": instance.sop_class_uid,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "modality": instance.modality,
        "body_part": instance.body_part,
        "digest": instance.digest,
        "size": instance.size,
        "path": instance.path if instance.spooled else None,
        "calling_ae": instance.calling_ae,
        "called_ae": instance.called_ae,
        "peer": instance.peer,
        "received_at": _iso(instance.received_at),
        "state": instance.state,
        "conflict": instance.conflict,
        "verdict": _verdict_view(record.verdict),
        "recognition": _recognition_view(record.recognition),
        "deliveries": [_delivery_view(delivery) for delivery in record.deliveries],
        "events": [_event_view(event) for event in record.events],
        "labels": [_label_view(label) for label in record.labels],
    }


def records_view(records: Sequence[InstanceRecord]) -> list[dict[str, Any]]:
    """Several instances, as of a series or a study."""
    return [record_view(record) for record in records]


def _verdict_view(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    # What the model would have guessed is under `recognition`; where it abstained the node names no region.
    region = verdict.region if verdict.outcome is Outcome.TAGGED else None
    return asdict(verdict) | {"decided_at": _iso(verdict.decided_at), "region": region}


def _recognition_view(recognition: Recognition | None) -> dict[str, Any] | None:
    if recognition is None:
        return None
    return {
        "model": recognition.model_id,
        "region": recognition.region,
        "confidence": recognition.confidence,
        "reject_score": recognition.reject_score,
        "probabilities": {str(region): value for region, value in recognition.probabilities.items()},
    }


def _delivery_view(delivery: Delivery) -> dict[str, Any]:
    return {
        "destination": delivery.destination,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "due_at": _iso(delivery.due_at),
        "delivered_at": _iso(delivery.delivered_at),
        "last_error": delivery.last_error,
        "sent_uid": delivery.sent_uid,
        "written": delivery.written,
    }


def _event_view(event: Event) -> dict[str, Any]:
    return {"kind": event.kind, "at": _iso(event.at), "detail": event.detail}


def _label_view(label: Label) -> dict[str, Any]:
    return {"region": label.region, "by": label.by, "at": _iso(label.at)}


def to_the_second(time: str | None) -> str:
    """An ISO time in UTC, as these views have it, for people."""
    return time[:19].replace("T", " ") + "Z" if time else ""


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _age(since: datetime | None, now: datetime) -> float | None:
    """How long ago a time was; what lies in the future waits for nobody yet."""
    return None if since is None else max(0.0, round((now - since).total_seconds(), 3))
