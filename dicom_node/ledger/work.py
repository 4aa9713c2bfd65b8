"""The ledger as the classifier sees it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, or_, select, update

from dicom_node.instance import DeliveryState, Instance, InstanceState, PlannedDelivery
from dicom_node.ledger.engine import Database, in_portions, insert_into
from dicom_node.ledger.rows import instance_of, prediction_row, verdict_row
from dicom_node.ledger.schema import (
    deliveries,
    destinations,
    events,
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
            .values(state=InstanceState.SETTLED, routed=bool(deliveries), lease_owner=None, lease_until=None)
        )
        with self._database.writing() as connection:
            if connection.execute(first).rowcount == 0:
                return False
            connection.execute(insert(verdicts).values(verdict_row(instance_id, verdict)))
            if recognition is not None:
                connection.execute(insert(predictions).values(prediction_row(instance_id, recognition)))
            _plan(connection, instance_id, deliveries, verdict.decided_at)
            event = {"kind": "settled", "at": verdict.decided_at, "instance_id": instance_id}
            connection.execute(insert(events).values(event | {"detail": verdict.decision.value}))
        return True

    def release(self, instance_ids: Sequence[int]) -> None:
        with self._database.writing() as connection:
            for ids in in_portions(instance_ids):
                held = update(instances).where(instances.c.id.in_(ids), is_received)
                connection.execute(held.values(lease_owner=None, lease_until=None))

    def series_value(self, *, series_uid: str, when: When, proposed: str | None) -> str | None:
        kept = select(series_values.c.value).where(
            series_values.c.series_uid == series_uid, series_values.c.when == when
        )
        with self._database.reading() as connection:
            row = connection.execute(kept).first()
        if row is None:
            with self._database.writing() as connection:
                keep_series_value(connection, series_uid=series_uid, when=when, value=proposed)
                row = connection.execute(kept).one()
        value: str | None = row[0]
        return value


def keep_series_value(connection: Connection, *, series_uid: str, when: When, value: str | None) -> None:
    """Keep a series' body part unless one is there already."""
    connection.execute(
        insert_into(connection, series_values)
        .values(series_uid=series_uid, when=when, value=value)
        .on_conflict_do_nothing()
    )


def _plan(connection: Connection, instance_id: int, planned: Sequence[PlannedDelivery], now: datetime) -> None:
    for plan in sorted(planned, key=lambda plan: plan.destination):
        # In order of name: two workers that meet a new destination at once must not wait for each other in a circle.
        known = insert_into(connection, destinations).values(name=plan.destination).on_conflict_do_nothing()
        connection.execute(known)
        connection.execute(
            insert(deliveries).values(
                instance_id=instance_id,
                destination=plan.destination,
                state=DeliveryState.PENDING,
                planned_at=now,
                due_at=plan.due_at,
                attempts=0,
            )
        )
