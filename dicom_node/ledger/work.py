"""The ledger as the classifier sees it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, case, insert, literal, or_, select, update

from dicom_node.errors import UnstorableError
from dicom_node.instance import Event, Instance, InstanceState, PlannedDelivery
from dicom_node.ledger.engine import Database, in_portions, insert_into
from dicom_node.ledger.history import keep_events
from dicom_node.ledger.queueing import enqueue
from dicom_node.ledger.rows import instance_of, prediction_row, storable, verdict_row
from dicom_node.ledger.schema import (
    instances,
    is_received,
    predictions,
    series_values,
    verdicts,
)
from dicom_node.ports import When
from dicom_node.verdict import Recognition, Verdict


class SqlWork:
    """Implements `dicom_node.ports.Work`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, *, worker: str, limit: int, now: datetime, lease: timedelta) -> Sequence[Instance]:
        free = or_(instances.c.lease_until.is_(None), instances.c.lease_until <= now)
        waiting = (
            select(instances.c.id)
            .where(is_received, free)
            .order_by(instances.c.received_at, instances.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)  # SQLite has, and needs, no such clause: it has one writer at a time
        )
        with self._database.writing() as connection:
            ids = connection.scalars(waiting).all()
            taken = (
                update(instances)
                .where(instances.c.id.in_(ids), is_received, free)
                .values(lease_owner=worker, lease_until=now + lease, attempts=instances.c.attempts + 1)
                .returning(instances)
            )
            rows = connection.execute(taken).mappings().all() if ids else []
        return sorted((instance_of(row) for row in rows), key=lambda instance: (instance.received_at, instance.id))

    def settle(
        self,
        instance_id: int,
        verdict: Verdict,
        *,
        recognition: Recognition | None,
        deliveries: Sequence[PlannedDelivery],
    ) -> bool:
        first = (
            update(instances)
            .where(instances.c.id == instance_id, is_received)
            .values(
                state=InstanceState.SETTLED,
                routed=or_(instances.c.routed, literal(bool(deliveries))),
                lease_owner=None,
                lease_until=None,
            )
            .returning(instances.c.study_uid)
        )
        if len({plan.destination for plan in deliveries}) < len(deliveries):
            raise UnstorableError("An instance goes to a destination once.")
        with self._database.writing() as connection:
            study_uid = connection.scalar(first)
            if study_uid is None:
                return False
            _keep_verdict(connection, verdict_row(instance_id, verdict))
            if recognition is not None:
                connection.execute(insert(predictions).values(prediction_row(instance_id, recognition)))
            # What has no verdict yet keeps its study open, so that only an image without a study waits in vain.
            # What it has already is from a verdict without its file: this one says when it goes.
            enqueue(
                connection, instance_id, deliveries, now=verdict.decided_at, closing_ahead=bool(study_uid), anew=True
            )
            event = Event(kind="settled", at=verdict.decided_at, instance_id=instance_id, detail=verdict.decision.value)
            keep_events(connection, [event])
        return True

    def release(self, instance_ids: Sequence[int], *, worker: str) -> None:
        one_less = case((instances.c.attempts > 0, instances.c.attempts - 1), else_=0)
        with self._database.writing() as connection:
            for ids in in_portions(instance_ids):
                held = update(instances).where(instances.c.id.in_(ids), is_received, instances.c.lease_owner == worker)
                connection.execute(held.values(lease_owner=None, lease_until=None, attempts=one_less))

    def series_value(self, *, study_uid: str, series_uid: str, when: When, proposed: str | None) -> str | None:
        if not (study_uid and series_uid):
            return proposed
        kept = _kept_value(study_uid, series_uid, when)
        with self._database.reading() as connection:
            row = connection.execute(kept).first()
        if row is None:
            with self._database.writing() as connection:
                keep_series_value(connection, study_uid, series_uid, when=when, value=proposed)
                row = connection.execute(kept).one()
        value: str | None = row[0]
        return value

    def decided_value(self, *, study_uid: str, series_uid: str, when: When) -> str | None:
        with self._database.reading() as connection:
            value: str | None = connection.scalar(_kept_value(study_uid, series_uid, when))
        return value


def _keep_verdict(connection: Connection, row: Mapping[str, object]) -> None:
    """In the place of one that it had without its file, if there is any (`Intake.restore`)."""
    new = insert_into(connection, verdicts).values(row)
    connection.execute(new.on_conflict_do_update(index_elements=[verdicts.c.instance_id], set_=row))


def keep_series_value(
    connection: Connection, study_uid: str, series_uid: str, *, when: When, value: str | None
) -> None:
    """Keep a series' body part unless one is there already, or a UID is missing and it is therefore no series."""
    if not (study_uid and series_uid):
        return
    connection.execute(
        insert_into(connection, series_values)
        .values(study_uid=study_uid, series_uid=series_uid, when=when, value=storable(value))
        .on_conflict_do_nothing()
    )


def _kept_value(study_uid: str, series_uid: str, when: When) -> Select[str]:
    return select(series_values.c.value).where(
        series_values.c.study_uid == study_uid, series_values.c.series_uid == series_uid, series_values.c.when == when
    )
